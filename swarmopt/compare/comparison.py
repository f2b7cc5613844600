"""What a comparison has found: one cell a problem, algorithm and seed. Read-only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmopt.evaluation import INFEASIBLE
from swarmopt.result import imported_pandas
from swarmopt.types import Integers, Matrix, Vector

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "problem", "algorithm", "seed", "evaluations", "failed", "seconds", "cost", "violation", "key",
    "error",
)  # fmt: skip
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
        settings: the resolved settings and the versions, of which `compare.toml` is a copy.
        folder: what `load` was given; empty where it comes from none.
    """

    problems: tuple[str, ...]
    algorithms: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    optimum: Mapping[str, float | None]
    cells: Mapping[Where, Cell]
    settings: Mapping[str, Any]
    folder: str = ""

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

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the finished runs, a row each: the values of `COLUMNS`."""
        cells = [self.cells[where] for where in self.planned if where in self.cells]
        return [
            (
                cell.problem, cell.algorithm, cell.seed, cell.nfev, cell.n_failed, cell.seconds,
                cell.fun, cell.violation, cell.key,
                (cell.error or "").strip().rpartition("\n")[2],
            )
            for cell in cells
        ]  # fmt: skip

    def to_frame(self) -> "DataFrame":
        """Return the finished runs as a pandas frame, a row each (extra `pandas`).

        Its columns are those of `swarmopt export`; `error` is empty where a run did not fail.

        Raises:
            SettingError: pandas is not installed.
        """
        frame: DataFrame = imported_pandas().DataFrame(self.rows(), columns=COLUMNS)
        return frame

    def report(self, path: str | Path) -> Path:
        """Write the page of this comparison, and return where it is."""
        written: Path = import_module("swarmopt.report").write_comparison(self, Path(path))
        return written


def load(path: str | Path) -> Comparison:
    """Return the comparison in a folder, finished or not.

    Raises:
        FolderError: it is no comparison folder, or its record is damaged.
    """
    from swarmopt.compare.record import check_copy, read

    found = read(Path(path))
    check_copy(Path(path), found.settings)
    return replace(found, folder=str(path))
