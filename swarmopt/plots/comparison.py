"""Pictures of a comparison: costs over time, runtimes, ranks, final costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swarmopt.compare.summary import quartiles
from swarmopt.plots.style import (
    GREY,
    INK,
    MARKERS,
    TITLE,
    colour,
    drawn,
    figure,
    label,
    line,
    nothing,
)
from swarmopt.types import Matrix, Vector

GRID = 200  # evaluations at which curves are drawn


def evenly(budget: int, n: int = GRID) -> Vector:
    """Return at most n evaluations from 1 to the budget, evenly on a logarithmic scale."""
    found: Vector = np.unique(np.round(np.geomspace(1, max(2, budget), n)))
    return found[found <= budget]


@drawn
def bands(
    evaluations: Vector, curves: Mapping[str, Matrix], *, optimum: float | None, title: str = ""
) -> Figure:
    """Draw the median cost of each algorithm over time, between its quartiles.

    Args:
        evaluations: (m,) of the curves.
        curves: by algorithm the (runs, m) least feasible cost by then; inf before any.
        optimum: the least cost there is, where it is known: the curves are of the error.
        title: above the picture.
    """
    picture = figure()
    axes = picture.add_subplot()
    least, most = np.inf, -np.inf
    for i, (name, best) in enumerate(curves.items()):
        low, median, high = quartiles(best) - (optimum or 0.0)
        told = np.isfinite(median)
        if not told.any():
            continue
        high = np.where(np.isfinite(high), high, median.max(where=told, initial=-np.inf))
        axes.fill_between(
            evaluations[told], low[told], high[told], step="post", facecolor=colour(i),
            alpha=0.18, linewidth=0,
        )  # fmt: skip
        axes.step(
            evaluations[told], median[told], where="post", label=label(name), linewidth=1.8,
            **line(i),
        )  # fmt: skip
        least, most = min(least, low[told].min()), max(most, high[told].max())
    if np.isfinite(least):
        _scale(axes, least, most, known=optimum is not None)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.set_xscale("log")
    else:
        nothing(axes, "no run found a feasible point")
    axes.set_xlabel("evaluations")
    axes.set_ylabel("cost" if optimum is None else "cost above the optimum")
    axes.grid(visible=True)
    axes.set_title(label(title, TITLE))
    return picture


def _scale(axes: Axes, least: float, most: float, *, known: bool) -> None:
    """Choose a logarithmic scale where it shows more; down to 1e-8 of an error."""
    if known and least < 1e-8 < most:
        axes.set_yscale("symlog", linthresh=1e-8)
    elif least > 0 and most > 30 * least:
        axes.set_yscale("log")


@drawn
def runtimes(evaluations: Vector, reached: Mapping[str, Vector], *, title: str = "") -> Figure:
    """Draw the share of targets and runs reached by each number of evaluations (ECDF).

    Args:
        evaluations: (m,) of the curves.
        reached: by algorithm the (m,) share by then.
        title: above the picture.
    """
    picture = figure(height=3.6)
    axes = picture.add_subplot()
    for i, (name, share) in enumerate(reached.items()):
        axes.step(evaluations, share, where="post", label=label(name), linewidth=1.8, **line(i))
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("evaluations")
    axes.set_ylabel("share of targets reached")
    axes.grid(visible=True)
    axes.set_title(label(title, TITLE))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return picture


@drawn
def ranks(
    names: Sequence[str],
    mean: Sequence[float],
    critical: float,
    groups: Sequence[Sequence[str]],
    *,
    title: str = "",
) -> Figure:
    """Draw a critical-difference diagram: bars join ranks that show no difference.

    Args:
        names: of the algorithms, the best rank first.
        mean: their mean ranks.
        critical: the difference from which on two ranks differ.
        groups: of neighbours within it.
        title: above the picture.
    """
    n = len(names)
    half = (n + 1) // 2
    picture = figure(height=1.6 + 0.28 * (half + len(groups)))
    axes = picture.add_subplot()
    where = dict(zip(names, mean, strict=True))
    depth = 0.5 * len(groups) + 0.6
    for i, name in enumerate(names):
        left = i < half
        y = -depth - 0.9 * (i if left else n - 1 - i)
        end = 0.8 if left else n + 0.2
        axes.plot([mean[i], mean[i], end], [0, y, y], color=colour(i), linewidth=1.2)
        text = f"{label(name)}  {mean[i]:.2f}"
        axes.text(end, y, f"{text} " if left else f" {text}", va="center",
                  ha="right" if left else "left", fontsize=9)  # fmt: skip
    for row, group in enumerate(groups):
        ends = [where[group[0]] - 0.04, where[group[-1]] + 0.04]
        axes.plot(ends, [-0.35 - 0.5 * row] * 2, color=INK, linewidth=4, solid_capstyle="round")
    axes.plot([1, n], [0, 0], color=INK, linewidth=1)
    for rank in range(1, n + 1):
        axes.plot([rank, rank], [0, 0.2], color=INK, linewidth=1)
        axes.text(rank, 0.35, str(rank), ha="center", fontsize=9)
    stop = min(1 + critical, n + 0.4)
    axes.plot([1, stop], [1.5, 1.5], color=GREY, linewidth=2, marker="|")
    axes.text((1 + stop) / 2, 1.7, f"critical difference {critical:.2f}", ha="center", fontsize=9)
    axes.set_xlim(-0.4 - 0.12 * n, n + 1.4 + 0.12 * n)
    axes.set_ylim(-depth - 0.9 * half, 2.5)
    axes.set_axis_off()
    axes.set_title(label(title, TITLE))
    return picture


@drawn
def finals(costs: Mapping[str, Vector], *, title: str = "") -> Figure:
    """Draw the final cost of every run: a mark each, over a box from quartile to quartile.

    Args:
        costs: by algorithm (runs,) final costs; inf: nothing feasible, or failed.
        title: above the picture.
    """
    picture = figure(height=max(2.4, 1.0 + 0.5 * len(costs)))
    axes = picture.add_subplot()
    told = [v[np.isfinite(v)] for v in costs.values()]
    shown = np.concatenate([*told, np.empty(0)])
    texts = []
    for i, (name, values) in enumerate(costs.items()):
        missing = int((~np.isfinite(values)).sum())
        texts.append(f"{label(name)}, {missing} without" if missing else label(name))
        if len(told[i]):
            _strip(axes, i, told[i], {"color": colour(i), "marker": MARKERS[i % len(MARKERS)]})
    if len(shown):
        if shown.min() > 0 and shown.max() > 30 * shown.min():
            axes.set_xscale("log")
        axes.set_yticks(range(len(costs)), texts)
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x")
    else:
        nothing(axes, "no run found a feasible point")
    axes.set_xlabel("final cost")
    axes.set_title(label(title, TITLE))
    return picture


def _strip(axes: Axes, row: int, values: Vector, look: Mapping[str, Any]) -> None:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    if len(values) > 1:
        axes.fill_betweenx(
            [row - 0.3, row + 0.3], low, high, color=look["color"], alpha=0.2, linewidth=0
        )
        axes.plot([median, median], [row - 0.3, row + 0.3], color=look["color"], linewidth=2.5)
    order = np.argsort(values)
    height = 0.22 * np.cos(2.4 * np.arange(len(values)))  # spread without chance
    axes.plot(values[order], row + height, linestyle="", markersize=4, alpha=0.75, **look)
