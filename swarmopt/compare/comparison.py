"""What a comparison has found: one cell a problem, algorithm and seed. Read-only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from swarmopt.errors import SettingError
from swarmopt.evaluation import INFEASIBLE
from swarmopt.types import Integers, Matrix, Vector

T = TypeVar("T")
TABLES = ("problem", "algorithm")  # of the settings: by label, what takes part
Where = tuple[str, str, int]  # problem, algorithm, seed


@dataclass(frozen=True, eq=False)
class Cell:
    """One finished run of a comparison.

    Attributes:
        problem: its label.
        algorithm: its label.
        seed: of the run.
        nfev: evaluations that were run.
        n_failed: of these, those that failed.
        seconds: of the search.
        fun: least feasible cost; inf where nothing feasible was found or the run failed.
        violation: of the best point, 0: feasible; inf where nothing was found.
        key: what ranks (`Evaluation.key`): the cost where the best point is feasible, 1e300 and
            more where it is not, inf where nothing was found or the run failed.
        evaluations: (k,) the evaluations, from 1, that improved on every feasible cost before.
        best: (k,) their costs, falling; before the first of them nothing feasible was known.
        report: what the algorithm says of itself over time: by name the evaluations and the values
            then, (m,) each, m at most 100.
        error: traceback of a run that failed; None where it did not.
    """

    problem: str
    algorithm: str
    seed: int
    nfev: int
    n_failed: int
    seconds: float
    fun: float
    violation: float
    key: float
    evaluations: Integers
    best: Vector
    report: Mapping[str, tuple[Vector, Vector]]
    error: str | None = None

    @property
    def where(self) -> Where:
        """Problem, algorithm and seed."""
        return self.problem, self.algorithm, self.seed

    @property
    def feasible(self) -> bool:
        """Whether a feasible point was found."""
        return self.key < INFEASIBLE

    def best_at(self, evaluations: Vector) -> Vector:
        """Return (m,) the least feasible cost after so many evaluations; inf before any."""
        at = np.searchsorted(self.evaluations, evaluations, side="right")
        found: Vector = np.concatenate([[np.inf], self.best])[at]
        return found


@dataclass(frozen=True, eq=False)
class Comparison:
    """Algorithms compared on problems: the runs that have finished, and those that have not.

    Attributes:
        problems: labels, in the order given.
        algorithms: labels, in the order given.
        seeds: of the runs; a seed is the same for all algorithms.
        budget: evaluations of a run.
        optimum: by problem, the least cost there is; None where it is not known.
        cells: the finished runs by problem, algorithm and seed.
        settings: the resolved settings and the versions, as `compare.toml` has them.
    """

    problems: tuple[str, ...]
    algorithms: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    optimum: Mapping[str, float | None]
    cells: Mapping[Where, Cell]
    settings: Mapping[str, Any]

    @property
    def planned(self) -> list[Where]:
        """All runs, seed by seed, so that what is there early can be compared early."""
        return [(p, a, s) for s in self.seeds for p in self.problems for a in self.algorithms]

    @property
    def missing(self) -> list[Where]:
        """The runs that have not finished."""
        return [where for where in self.planned if where not in self.cells]

    @property
    def complete(self) -> bool:
        """Whether all runs have finished."""
        return not self.missing

    def runs(self, problem: str, algorithm: str) -> list[Cell]:
        """Return the finished runs of an algorithm on a problem, in order of the seeds."""
        found = (self.cells.get((problem, algorithm, seed)) for seed in self.seeds)
        return [cell for cell in found if cell is not None]

    def final(self, problem: str) -> Matrix:
        """Return (algorithms, seeds) the keys of the best points; NaN where a run is missing."""
        return np.array(
            [
                [
                    cell.key if (cell := self.cells.get((problem, a, s))) else np.nan
                    for s in self.seeds
                ]
                for a in self.algorithms
            ]
        )

    def report(self, path: str | Path) -> Path:
        """Write the page of this comparison, and return where it is."""
        written: Path = import_module("swarmopt.report").write_comparison(self, Path(path))
        return written


def merged(comparisons: Sequence[Comparison]) -> Comparison:
    """Return several comparisons as one; the first names the order.

    Raises:
        SettingError: budgets, settings of what has the same label, or results of the same run
            differ.
    """
    if not comparisons:
        raise SettingError("merged: expected at least one comparison, got none")
    first = comparisons[0]
    cells: dict[Where, Cell] = {}
    for other in comparisons:
        if other.budget != first.budget:
            raise SettingError(
                f"merged: the budgets differ, {first.budget:,} and {other.budget:,} evaluations; "
                f"runs of different length do not compare. Run one of them anew with the other's "
                f"budget"
            )
        for table in TABLES:
            _check_alike(table, first.settings, other.settings)
        for where, cell in other.cells.items():
            known = cells.setdefault(where, cell)
            if known.key != cell.key or known.nfev != cell.nfev:
                raise SettingError(
                    f"merged: {where[1]} on {where[0]} with seed {where[2]} is there twice, with "
                    f"final keys {known.key!r} and {cell.key!r}; expected the same. Are the "
                    f"versions the same?"
                )
    optimum = {p: value for c in reversed(comparisons) for p, value in c.optimum.items()}
    seeds = _union(c.seeds for c in comparisons)
    tables = {
        table: {
            label: entry for c in comparisons for label, entry in c.settings.get(table, {}).items()
        }
        for table in TABLES
    }
    return Comparison(
        problems=_union(c.problems for c in comparisons),
        algorithms=_union(c.algorithms for c in comparisons),
        seeds=seeds,
        budget=first.budget,
        optimum=optimum,
        cells=cells,
        settings={**first.settings, **tables, "seeds": list(seeds)},
    )


def load(path: str | Path) -> Comparison:
    """Return the comparison in a folder, finished or not.

    Raises:
        FolderError: it is no comparison folder, or its record is damaged.
    """
    from swarmopt.compare.record import read

    return read(Path(path))


def _check_alike(table: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise SettingError where the same label has other settings in two comparisons."""
    mine, theirs = one.get(table, {}), other.get(table, {})
    for label in mine.keys() & theirs.keys():
        if mine[label] != theirs[label]:
            raise SettingError(
                f"merged: the {table} {label!r} has other settings in the two comparisons: "
                f"{mine[label]} and {theirs[label]}; expected the same"
            )


def _union(parts: Iterable[Iterable[T]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(entry for part in parts for entry in part))
