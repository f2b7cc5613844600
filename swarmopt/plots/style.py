"""How pictures look, and how they become files. Matplotlib never opens a window here.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind people tell
apart; lines differ in their dashes too. The same numbers give the same bytes.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swarmopt.terminal import printable

WIDTH, HEIGHT, DPI = 7.0, 4.2, 144  # inches, inches, dots per inch
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9",
)  # fmt: skip
INK, GREY = "#20262c", "#9aa3ab"
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, INK)
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)),
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NAMES = {  # how a page calls the colours, so that it can have others in the dark
    BLUE: "blue", ORANGE: "orange", GREEN: "green", RED: "red", PURPLE: "purple", SKY: "sky",
    INK: "ink", GREY: "grey",
}  # fmt: skip
LONGEST = 32  # characters of a name in a picture
TITLE = 64  # characters of its title
SETTINGS: dict[Any, Any] = {
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GREY,
    "grid.alpha": 0.35,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "swarmopt",
}
OWN = {"backend", "backend_fallback", "toolbar"}  # settings of windows

P = ParamSpec("P")


@contextmanager
def styled() -> Iterator[None]:
    """Draw by our settings, whatever a user's matplotlibrc says."""
    plain: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if k not in OWN}
    with (
        mpl.rc_context({**plain, **SETTINGS}),
        np.errstate(all="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")  # a name in any script
        yield


def drawn(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return a function that draws by our settings."""

    @wraps(draw)
    def function(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with styled():
            return draw(*args, **kwargs)

    return function


def figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """Return an empty figure that draws to files only."""
    empty = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(empty)
    return empty


def label(text: object, most: int = LONGEST) -> str:
    """Return a name as a picture can show it: no control characters, no formulas, not too long."""
    shown = printable(str(text)).replace("\n", " ").replace("\t", " ")
    if len(shown) > most:
        shown = f"{shown[: most - 8]}…{shown[-7:]}"
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # which legends leave out


def colour(i: int) -> str:
    """Return the colour of the i-th thing."""
    return COLOURS[i % len(COLOURS)]


def line(i: int) -> dict[str, Any]:
    """Return the colour and dashes of the i-th line; 42 of them differ."""
    return {
        "color": colour(i),
        "linestyle": DASHES[(i % len(COLOURS) + i // len(COLOURS)) % len(DASHES)],
    }


def nothing(axes: Axes, text: str) -> None:
    """Say in a picture why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    axes.set_xticks([])
    axes.set_yticks([])


def save(picture: Figure, path: Path) -> None:
    """Write a picture; the suffix of the file names the format, svg or png."""
    path.write_bytes(as_bytes(picture, path.suffix.removeprefix(".") or "png"))


def as_bytes(picture: Figure, kind: str) -> bytes:
    """Return a picture as svg or png."""
    written = io.BytesIO()
    dateless = {"Date": None} if kind == "svg" else {}
    with styled():
        picture.savefig(written, format=kind, metadata=dateless)
    return written.getvalue()


def inline(picture: Figure, name: str, title: str) -> str:
    """Return a picture as an element of a page, whose style says what its colours are.

    Args:
        picture: drawn.
        name: of it in the page, a word.
        title: what it shows, for who cannot see it.
    """
    written = io.BytesIO()
    with styled(), mpl.rc_context({"svg.hashsalt": name}):
        picture.savefig(written, format="svg", metadata={"Date": None}, transparent=True)
    svg = written.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the same in every picture, and never referred to
    svg = re.sub(r"'DejaVu Sans'.*?sans-serif", "sans-serif", svg)
    for code, word in NAMES.items():
        svg = svg.replace(f": {code}", f": var(--{word})")
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" role="img" {box[0] if box else ""}'
    about = f' aria-labelledby="{name}-title"><title id="{name}-title">{escape(title)}</title>'
    return head + about + svg[svg.index(">") + 1 :]
