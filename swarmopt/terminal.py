"""What goes to a terminal: text from elsewhere, safe to show, and no styles that nobody wants."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> "Console":
    """Return rich's console; where NO_COLOR is set or TERM is dumb, without bold and the like too.

    A dumb terminal cannot move its cursor, so it gets lines, as a file does, and no bars.

    Args:
        stderr: whether it writes to stderr, not to stdout.
    """
    from rich.console import Console  # here: whoever wants `printable` alone waits for no rich

    dumb = os.environ.get("TERM") == "dumb"
    plain = dumb or os.environ.get("NO_COLOR", "") != ""
    return Console(
        stderr=stderr,
        force_terminal=False if dumb else None,
        color_system=None if plain else "auto",
    )


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
