"""Text from elsewhere, safe to show in a terminal."""


def printable(text: str) -> str:
    r"""Return a text with its control characters written out, such as \x1b.

    Names of layers are the model's author's: they may hold what moves the cursor or hides text.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
