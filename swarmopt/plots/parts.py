"""Pictures that a problem asks for: a front of two figures, and what is kept of a whole."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from swarmopt.plots.style import BLUE, GREY, RED, TITLE, drawn, figure, label
from swarmopt.types import Mask, Vector

MOST = 2_000  # dots beside the front


def on_front(x: Vector, y: Vector) -> Mask:
    """Return (n,) which points no other beats in both figures; less is better in both."""
    order = np.lexsort((y, x))
    least = np.minimum.accumulate(y[order])
    better = np.r_[True, y[order][1:] < least[:-1]]
    found = np.zeros(len(x), bool)
    found[order[better]] = True
    return found


@drawn
def front(
    x: Vector,
    y: Vector,
    *,
    x_label: str,
    y_label: str,
    more_x: bool = False,
    more_y: bool = False,
    title: str = "",
) -> Figure:
    """Draw two figures of each point, and the points that none beats in both.

    Args:
        x: (n,) of each point, at least one.
        y: (n,) alike.
        x_label: what it is.
        y_label: alike.
        more_x: more is better.
        more_y: alike.
        title: above the picture.
    """
    picture = figure()
    axes = picture.add_subplot()
    best = np.flatnonzero(on_front(-x if more_x else x, -y if more_y else y))
    best = best[np.argsort(x[best])]
    dots = slice(None, None, max(1, -(-len(x) // MOST)))
    axes.plot(x[dots], y[dots], ".", color=GREY, markersize=5, label="evaluated")
    axes.plot(x[best], y[best], "o-", color=RED, markersize=5, label="on the front")
    axes.set_xlabel(label(x_label))
    axes.set_ylabel(label(y_label))
    axes.set_title(label(title, TITLE))
    axes.grid(visible=True)
    axes.legend()
    return picture


@drawn
def kept(parts: Mapping[str, tuple[float, float]], *, unit: str = "", title: str = "") -> Figure:
    """Draw what is kept of each part, the whole behind.

    Args:
        parts: by name what is kept, and of how much.
        unit: of both.
        title: above the picture.
    """
    picture = figure(height=max(2.6, 1.2 + 0.3 * len(parts)))
    axes = picture.add_subplot()
    rows = range(len(parts))
    most = max((whole for _, whole in parts.values()), default=1) or 1
    axes.barh(rows, [whole for _, whole in parts.values()], color=GREY, height=0.75, label="whole")
    axes.barh(rows, [part for part, _ in parts.values()], color=BLUE, height=0.5, label="kept")
    for row, (part, whole) in enumerate(parts.values()):
        axes.text(whole, row, f"  {part:,.10g} of {whole:,.10g}", va="center", fontsize=8)
    axes.set_yticks(rows, [label(name) for name in parts], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * most)
    axes.set_xlabel(label(unit))
    axes.set_title(label(title, TITLE))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return picture
