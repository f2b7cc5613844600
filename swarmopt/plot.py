"""Pictures of a run. Matplotlib is imported here only, and never asked for a window."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swarmopt.result import Result

WIDTH, HEIGHT, DPI = 7.0, 4.2, 144  # inches, inches, dots per inch
BLUE, GREY, ORANGE = "#1f5fa8", "#b8c0c8", "#d9822b"


def figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """Return an empty figure that draws to files only."""
    drawn = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn


def convergence(result: Result, path: Path) -> None:
    """Draw the best cost and each batch's median against evaluations.

    Args:
        result: of a run.
        path: of the picture; its suffix names the format.
    """
    history = result.history
    nfev = np.array(history.nfev)
    best = np.array(history.best)
    median = np.array(history.median)
    drawn = figure()
    axes = drawn.add_subplot()
    told = np.isfinite(median)
    axes.plot(nfev[told], median[told], ".", color=GREY, markersize=4, label="median of a batch")
    feasible = np.isfinite(best)
    axes.step(
        nfev[feasible], best[feasible], where="post", color=BLUE, linewidth=2, label="best so far"
    )
    shown = np.r_[best[feasible], median[told]]
    if len(shown) and shown.min() > 0 and shown.max() > 30 * shown.min():
        axes.set_yscale("log")
    axes.set_xlabel("evaluations")
    axes.set_ylabel("cost")
    axes.set_title(f"{result.problem}, {result.algorithm}, seed {result.seed}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", alpha=0.3)
    if len(shown):
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "no feasible finite cost", transform=axes.transAxes, ha="center")
    drawn.savefig(path)
