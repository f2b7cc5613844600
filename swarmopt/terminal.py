"""Text from elsewhere, safe to show in a terminal."""


def printable(text: str) -> str:
    r"""Return a text with its control characters written out, such as \x1b; lines stay lines.

    Names and settings in a run folder may be a stranger's: they may hold what moves the cursor,
    hides text or sets the title of the window.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
