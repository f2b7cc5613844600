"""Tables and pictures of finished runs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.contenders import ABLATION
from benchmarks.ecdf import areas, ranks, reached_by, unpack
from benchmarks.records import Cell, Row
from benchmarks.suites import ALL, ZERO_IS_GOOD
from swarmopt.types import Integers

Column = tuple[str, int]  # group, dimension
Where = tuple[int, int, int]  # function, instance, repeat


def group_of(cell: Cell) -> str:
    """Return the group a cell counts for, without the task being made."""
    if cell.suite == "bbob":
        return "bbob f19" if cell.function == ZERO_IS_GOOD else "bbob"
    if cell.suite == "own":
        return "integer" if cell.function <= 4 else "categorical"
    return cell.suite


def columns_of(rows: Sequence[Row]) -> dict[Column, dict[str, dict[Where, Row]]]:
    """Return the rows by group and dimension, then by algorithm, then by where they ran."""
    found: dict[Column, dict[str, dict[Where, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        where = (row.function, row.instance, row.repeat)
        found[group_of(row), row.dimension][row.algorithm][where] = row
    order = {name: number for number, name in enumerate(ALL)}
    suites = {(group_of(row), row.dimension): order[row.suite] for row in rows}
    return {c: found[c] for c in sorted(found, key=lambda c: (suites[c], c[0][:4], c[0], c[1]))}


def complete(runs: dict[str, dict[Where, Row]]) -> tuple[list[str], list[Where]]:
    """Return the algorithms that ran wherever any did, and where that is."""
    everywhere = sorted(set().union(*runs.values()))
    return [name for name, row in runs.items() if len(row) == len(everywhere)], everywhere


def hits_of(runs: dict[Where, Row], where: Sequence[Where]) -> Integers:
    """Return (runs, targets) the hits of one algorithm."""
    return np.stack([unpack(runs[w].hits) for w in where])


def table(rows: Sequence[Row], factor: int) -> str:
    """Return a Markdown table of one budget: area / mean rank, the best area in bold.

    Args:
        rows: of this budget.
        factor: evaluations per variable.
    """
    columns = columns_of(rows)
    cells: dict[str, dict[Column, tuple[float, float]]] = defaultdict(dict)
    counts, partial = {}, []
    for column, runs in columns.items():
        names, everywhere = complete(runs)
        counts[column] = len(everywhere)
        partial += [
            f"{n} on {column[0]} {column[1]}: {len(runs[n])} of {len(everywhere)}"
            for n in runs
            if n not in names
        ]
        budget = factor * column[1]
        area = [areas(hits_of(runs[n], everywhere), budget).mean() for n in names]
        rank = ranks(np.array([[runs[n][w].error for n in names] for w in everywhere]))
        for name, a, r in zip(names, area, rank, strict=True):
            cells[name][column] = (float(a), float(r))
    best = {c: max(v[c][0] for v in cells.values() if c in v) for c in columns if counts[c]}
    heads = [f"{group} {d}" for group, d in columns]
    lines = [f"| {factor} d | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name in sorted(cells, key=lambda n: _order(cells[n])):
        texts = [_text(cells[name].get(c), best.get(c)) for c in columns]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    lines.append("| runs each | " + " | ".join(str(counts[c]) for c in columns) + " |")
    if partial:
        lines.append("\nNot complete, so left out: " + "; ".join(partial) + ".")
    return "\n".join(lines)


def _order(found: Mapping[Column, tuple[float, float]]) -> float:
    """Return a key that sorts by the sum of areas; the single function 19 does not count."""
    return -sum(area for (group, _), (area, _) in found.items() if not group.endswith("f19"))


def _text(found: tuple[float, float] | None, best: float | None) -> str:
    if found is None or best is None:
        return ""
    area = f"{found[0]:.3f}"
    return f"{f'**{area}**' if area == f'{best:.3f}' else area} / {found[1]:.1f}"


def ablation(rows: Sequence[Row]) -> list[Row]:
    """Return the runs for the table of ssa's roles, from columns where a role ran alone."""
    roles = [row for row in rows if row.algorithm.startswith(ABLATION)]
    columns = {(group_of(row), row.dimension) for row in roles}
    beside = [row for row in rows if row.algorithm in ("ssa", "cma", "random")]
    return roles + [row for row in beside if (group_of(row), row.dimension) in columns]


def draw(rows: Sequence[Row], factor: int, folder: Path) -> list[Path]:
    """Draw the runtime ECDF of each group and dimension, and return the files.

    Args:
        rows: of this budget.
        factor: evaluations per variable.
        folder: where the pictures go.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paths = []
    for (group, d), runs in columns_of(rows).items():
        names, everywhere = complete(runs)
        evaluations = np.unique(np.geomspace(1, factor * d, 200).astype(int))
        figure = Figure(figsize=(6, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        ends = {n: reached_by(hits_of(runs[n], everywhere), evaluations) for n in names}
        for number, name in enumerate(sorted(names, key=lambda n: -ends[n][-1])):
            style = ("-", "--", ":")[number // 10 % 3]
            axes.step(evaluations / d, ends[name], style, where="post", label=name)
        axes.set_xscale("log")
        axes.set(
            xlabel="evaluations / d",
            ylabel="share of runs and targets reached",
            title=f"{group}, d = {d}, {len(everywhere)} runs each",
        )
        axes.legend(fontsize="x-small")
        path = folder / f"ecdf-{group.replace(' ', '-')}-{d}-{factor}d.png"
        figure.savefig(path, dpi=80, metadata={"Software": None})
        paths.append(path)
    return paths
