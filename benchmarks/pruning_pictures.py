"""Pictures of the pruning benchmark, from its records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.pruning_methods import METHODS
from benchmarks.pruning_protocol import Protocol
from benchmarks.pruning_table import of_column, original, summary

Record = Mapping[str, Any]

SHOWN = [name for name, method in METHODS.items() if method.kind != "ablation"]
COLOURS = [*(f"C{i}" for i in range(10)), "black", "gold", "navy", "darkgreen", "tan", "crimson"]
MARKERS = "os^Dv*PX<>hdp8+x"
STYLES: dict[str, Any] = {
    name: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
    for i, name in enumerate(METHODS)
}
WIDTHS = ("default", "uniform", "magnitude", "additive", "random")


def draw(protocol: Protocol, records: Sequence[Record], folder: Path) -> list[Path]:
    """Draw what there is, and return the files."""
    done = [record for record in records if "test" in record]
    if not done:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        _accuracy(protocol, done, folder / "pruning-accuracy.png"),
        _scores(protocol, done, folder / "pruning-score-final.png"),
    ]
    for network, budget in protocol.columns:
        found = of_column(done, network, budget)
        if found:
            end = f"{network}-{100 * budget:g}.png"
            made.append(
                _widths(found, f"{network}, {budget:.0%}", folder / f"pruning-widths-{end}")
            )
            made.append(
                _curves(found, f"{network}, {budget:.0%}", folder / f"pruning-search-{end}")
            )
    return made


def _accuracy(protocol: Protocol, records: Sequence[Record], path: Path) -> Path:
    """Draw accuracy against MACs, with standard errors; a panel for each network."""
    columns = [column for column in protocol.columns if of_column(records, *column)]
    networks = list(dict.fromkeys(network for network, _ in columns))
    figure, axes = plt.subplots(1, len(networks), figsize=(6.5 * len(networks), 5), squeeze=False)
    for axis, network in zip(axes[0], networks, strict=True):
        budgets = sorted(budget for name, budget in columns if name == network)
        for place, method in enumerate(SHOWN):
            points = []
            for budget in budgets:
                here = of_column(records, network, budget).get(method, [])
                if found := summary(here):
                    points.append((100 * budget, 100 * found.mean, 100 * found.error))
            if points:
                x, y, error = np.array(points).T
                beside = 0.25 * (place - len(SHOWN) / 2)  # so that spreads do not hide each other
                axis.errorbar(
                    x + beside,
                    y,
                    np.nan_to_num(error),
                    label=METHODS[method].label,
                    capsize=2,
                    linewidth=1,
                    markersize=5,
                    **STYLES[method],
                )
        if about := original(network):
            axis.axhline(100 * about["test_accuracy"], color="0.5", linestyle=":", label="original")
        axis.set(
            title=network,
            xlabel="MACs, % of the original (methods side by side)",
            ylabel="test accuracy, %",
            xticks=[100 * budget for budget in budgets],
            xlim=(100 * budgets[0] - 4, 100 * budgets[-1] + 4),
        )
    _legend(axes)
    return _saved(figure, path)


def _scores(protocol: Protocol, records: Sequence[Record], path: Path) -> Path:
    """Draw the score of each chosen structure against its accuracy at the end."""
    columns = [c for c in protocol.columns if of_column(records, *c)]
    rows = -(-len(columns) // 2)
    figure, axes = plt.subplots(
        rows, min(2, len(columns)), figsize=(10, 4 * rows), squeeze=False, layout="constrained"
    )
    for axis, (network, budget) in zip(axes.flat, columns, strict=False):
        for method, here in of_column(records, network, budget).items():
            if method in SHOWN:
                axis.scatter(
                    [100 * r["score"] for r in here],
                    [100 * r["test"] for r in here],
                    s=22,
                    label=METHODS[method].label,
                    **STYLES[method],
                )
        axis.set(
            title=f"{network}, {budget:.0%}",
            xlabel="score: 100 % less half the Brier score",
            ylabel="test accuracy at the end, %",
        )
    for axis in axes.flat[len(columns) :]:
        axis.set_axis_off()
    _legend(axes)
    return _saved(figure, path)


def _legend(axes: Any) -> None:
    """Put what all panels, (rows, columns), show beside the last one of the first row."""
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    axes[0, -1].legend(
        [*handles.values()],
        [*handles],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        fontsize=8,
        frameon=False,
    )


def _widths(found: Mapping[str, Sequence[Record]], title: str, path: Path) -> Path:
    """Draw how many channels each group keeps; thin lines are single seeds."""
    figure, axis = plt.subplots(figsize=(9, 4))
    for method in WIDTHS:
        for place, record in enumerate(found.get(method, ())):
            counts = record["counts"]
            label = METHODS[method].label if place == 0 else None
            axis.plot(
                list(counts), list(counts.values()), label=label, linewidth=1, **STYLES[method]
            )
    axis.set(title=title, ylabel="channels that stay", ylim=(0, None))
    axis.tick_params(axis="x", rotation=90, labelsize=7)
    axis.legend(fontsize=8, frameon=False)
    return _saved(figure, path)


def _curves(found: Mapping[str, Sequence[Record]], title: str, path: Path) -> Path:
    """Draw the least cost of a search against the scores it has asked for."""
    figure, axis = plt.subplots(figsize=(7, 4))
    for method, records in found.items():
        for place, record in enumerate(records if method in SHOWN else ()):
            if record["curve"]:
                n, cost = zip(*record["curve"], strict=True)
                label = METHODS[method].label if place == 0 else None
                axis.step(
                    n, cost, where="post", linewidth=1, label=label, color=STYLES[method]["color"]
                )
    axis.set(title=title, xlabel="scores", ylabel="least cost until then")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8, frameon=False)
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return path
