"""Pictures of one run: its costs, its roles over time, its best points."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from swarmopt.plots.style import BLUE, GREY, INK, TITLE, colour, drawn, figure, label, line, nothing
from swarmopt.types import Integers, Matrix, Vector

MOST = 2_000  # dots in a picture


@drawn
def convergence(nfev: Vector, best: Vector, median: Vector, *, title: str = "") -> Figure:
    """Draw the best cost and each batch's median against evaluations.

    Args:
        nfev: (b,) evaluations after each batch.
        best: (b,) best cost so far; inf before anything feasible.
        median: (b,) of each batch; inf where it is infeasible or failed.
        title: above the picture.
    """
    picture = figure()
    axes = picture.add_subplot()
    told, feasible = np.isfinite(median), np.isfinite(best)
    dots = _thinned(np.flatnonzero(told))
    axes.plot(nfev[dots], median[dots], ".", color=GREY, markersize=4, label="median of a batch")
    steps = _steps(np.flatnonzero(feasible), best)
    axes.step(nfev[steps], best[steps], where="post", color=BLUE, linewidth=2, label="best so far")
    shown = np.r_[best[feasible], median[told]]
    if len(shown) and shown.min() > 0 and shown.max() > 30 * shown.min():
        axes.set_yscale("log")
    axes.set_xlabel("evaluations")
    axes.set_ylabel("cost")
    axes.set_title(label(title, TITLE))
    axes.grid(visible=True, axis="y")
    if len(shown):
        axes.legend()
    else:
        nothing(axes, "no feasible finite cost")
    return picture


def _thinned(rows: Integers) -> Integers:
    """Return at most `MOST` of the rows, evenly."""
    return rows[:: max(1, -(-len(rows) // MOST))]


def _steps(rows: Integers, value: Vector) -> Integers:
    """Return those of the rows where the value changes, and the last."""
    if not len(rows):
        return rows
    changes = np.r_[True, np.diff(value[rows]) != 0]
    changes[-1] = True
    return rows[changes]


@drawn
def shares(over: Mapping[str, tuple[Vector, Vector]], *, title: str = "") -> Figure:
    """Draw what share of the candidates each role has, one above the other.

    Args:
        over: by role the evaluations and the shares then, (m,) each, the same for all.
        title: above the picture.
    """
    picture = figure(height=3.2)
    axes = picture.add_subplot()
    nfev = next(iter(over.values()))[0]
    below = np.zeros(len(nfev))
    for i, (name, (_, share)) in enumerate(over.items()):
        axes.fill_between(
            nfev, below, below + share, step="post", facecolor=colour(i), alpha=0.3, linewidth=0
        )
        below = below + share
        axes.step(nfev, below, where="post", label=label(name), **line(i))
    axes.set_ylim(0, max(1.0, float(below.max(initial=0.0))))
    axes.set_xlabel("evaluations")
    axes.set_ylabel("share, stacked")
    axes.set_title(label(title, TITLE))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return picture


@drawn
def parallel(
    names: Sequence[str], unit: Matrix, ends: Sequence[tuple[str, str]], *, title: str = ""
) -> Figure:
    """Draw points as lines across one axis a variable, the best last and in ink.

    Args:
        names: k of the variables.
        unit: (n, k) the points, the best first, in [0, 1] along each axis.
        ends: k pairs: what 0 and 1 are on each axis.
        title: above the picture.
    """
    picture = figure(width=max(7.0, min(14.0, 0.9 * len(names) + 1.5)))
    axes = picture.add_subplot()
    at = np.arange(len(names))
    for row in range(len(unit) - 1, 0, -1):
        axes.plot(at, unit[row], color=BLUE, alpha=0.35, linewidth=1)
    axes.plot(at, unit[0], color=INK, linewidth=2.2, marker="o", markersize=4, label="the best")
    for j, (low, high) in enumerate(ends):
        axes.plot([j, j], [0, 1], color=GREY, linewidth=0.8, zorder=0)
        for y, text, where in ((-0.03, low, "top"), (1.03, high, "bottom")):
            axes.text(j, y, label(text), ha="center", va=where, fontsize=8)
    axes.set_xticks(at, [label(name) for name in names], rotation=35, ha="right")
    axes.tick_params(length=0, pad=14)
    axes.set_yticks([])
    axes.set_ylim(-0.1, 1.1)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title(label(title, TITLE))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return picture
