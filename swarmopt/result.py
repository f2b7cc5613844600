"""What a run gives back, in the words of scipy's OptimizeResult."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from swarmopt.errors import SettingError
from swarmopt.jsonable import jsonable
from swarmopt.types import Matrix, Vector

if TYPE_CHECKING:
    from pandas import DataFrame

SAID = 100  # batches of which a record keeps what the algorithm says of itself


class Stop(IntEnum):
    """Why a run ended."""

    BUDGET = 0
    TARGET = 1
    PATIENCE = 2
    TIME = 3
    CALLBACK = 4
    EXHAUSTED = 5
    STALLED = 6
    RUNNING = 7


@dataclass(frozen=True, eq=False)
class Step:
    """A run after one told batch.

    Attributes:
        number: of the batch, from 0.
        nfev: evaluations so far.
        x: (d,) the best point so far.
        fun: its cost.
        violation: its violation; 0: feasible.
        batch_best: least comparable key of this batch's evaluations: the cost of a feasible
            candidate, 1e300 and more where none is, inf where all failed or nothing was new.
        batch_median: the lower median, alike.
        n_failed: failed evaluations so far.
        n_cached: candidates answered by the cache so far.
        seconds: since the run began.
        report: what the algorithm says of itself.
        replayed: whether it comes from the record of a run that is resumed.
    """

    number: int
    nfev: int
    x: Vector
    fun: float
    violation: float
    batch_best: float
    batch_median: float
    n_failed: int
    n_cached: int
    seconds: float
    report: Mapping[str, float]
    replayed: bool = False


@dataclass(eq=False)
class History:
    """A run batch by batch: one entry per told batch in every list.

    Attributes:
        nfev: evaluations so far.
        best: least cost so far; inf while nothing feasible was found.
        median: lower median cost of the batch's evaluations; inf where it is infeasible or failed,
            or nothing was new.
        seconds: since the run began.
        report: what the algorithm says of itself.
        x: (nfev, d) every point evaluated, and
        cost: (nfev,) its cost, and
        outcome: (nfev,) how its evaluation ended (`Outcome`), and
        info: nfev mappings, what the problem said of it; all empty but with `history="all"`.
    """

    nfev: list[int] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    report: list[Mapping[str, float]] = field(default_factory=list)
    x: Matrix = field(default_factory=lambda: np.empty((0, 0)))
    cost: Vector = field(default_factory=lambda: np.empty(0))
    outcome: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    info: list[Mapping[str, Any]] = field(default_factory=list)

    def said(self, most: int = SAID) -> dict[str, tuple[list[int], list[float]]]:
        """Return what the algorithm says of itself over time, thinned evenly.

        Args:
            most: batches at most.

        Returns:
            By name the evaluations and the values after them; the last batch is among them.
        """
        n = len(self.nfev)
        rows = sorted({round(i * (n - 1) / max(1, min(n, most) - 1)) for i in range(min(n, most))})
        names = dict.fromkeys(name for i in rows for name in self.report[i])
        return {
            name: (
                [self.nfev[i] for i in rows if name in self.report[i]],
                [float(self.report[i][name]) for i in rows if name in self.report[i]],
            )
            for name in names
        }

    def __repr__(self) -> str:
        return f"<History of {len(self.nfev)} batches>"


@dataclass(frozen=True, eq=False)
class Result:
    """The outcome of a run.

    Attributes:
        x: (d,) the best point: feasible and of least cost, or else of least violation.
        params: the same as a dict of the user's values.
        fun: its cost.
        violation: its violation; 0: feasible.
        success: whether fun is finite, x feasible, and the run was not aborted.
        status: why the run ended.
        message: the same in words.
        nfev: evaluations that were run.
        nit: batches told.
        n_failed: evaluations that failed.
        n_cached: candidates that the cache answered.
        seed: repeats the run.
        algorithm: the algorithm's name.
        problem: the problem's name.
        seconds: duration of the search.
        history: the run batch by batch.
        report: what the problem adds after the search (`Problem.finish`).
    """

    x: Vector
    params: dict[str, Any]
    fun: float
    violation: float
    success: bool
    status: Stop
    message: str
    nfev: int
    nit: int
    n_failed: int
    n_cached: int
    seed: int
    algorithm: str
    problem: str
    seconds: float
    history: History
    report: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = (
            "message", "success", "status", "fun", "violation", "x", "params", "nfev", "nit",
            "n_failed", "n_cached", "seed", "algorithm", "problem", "seconds",
        )  # fmt: skip
        lines = []
        for name in shown:
            value = getattr(self, name)
            text = f"{value.value} ({value.name.lower()})" if isinstance(value, Stop) else value
            lines.append(f"{name:>10}: {text}")
        return "\n".join(lines)

    def to_frame(self, rows: Literal["batches", "points"] = "batches") -> "DataFrame":
        """Return the run as a pandas frame (extra `pandas`).

        Args:
            rows: "batches": one a told batch, with nfev, best, median, seconds, and what the
                algorithm says of itself; "points": one an evaluation, with cost and the point's
                numbers by name, of a run with `history="all"`.

        Raises:
            SettingError: pandas is not installed, or no points were kept.
        """
        pd = imported_pandas()
        history = self.history
        if rows == "batches":
            columns = {k: getattr(history, k) for k in ("nfev", "best", "median", "seconds")}
            said = pd.DataFrame(history.report, pd.RangeIndex(self.nit))
            batches: DataFrame = pd.DataFrame(columns).join(said)
            return batches
        if rows != "points":
            raise SettingError(f"rows: expected 'batches' or 'points', got {rows!r}")
        if not len(history.x):
            raise SettingError('no points were kept; run with history="all"')
        names = list(self.params) or [f"x{j}" for j in range(history.x.shape[1])]
        frame: DataFrame = pd.DataFrame(history.x, columns=names)
        frame.insert(0, "cost", history.cost, allow_duplicates=True)
        return frame

    def summary(self) -> dict[str, Any]:
        """Return the result as JSON values, without the history."""
        found: dict[str, Any] = {
            "problem": self.problem,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "fun": self.fun,
            "violation": self.violation,
            "x": self.x,
            "params": self.params,
            "success": self.success,
            "status": self.status.name.lower(),
            "message": self.message,
            "nfev": self.nfev,
            "nit": self.nit,
            "n_failed": self.n_failed,
            "n_cached": self.n_cached,
            "seconds": round(self.seconds, 3),
        }
        clash = sorted(set(found) & set(self.report))
        if clash:
            raise SettingError(
                f"{self.problem}: finish returned {clash[0]!r}, which the result says already; "
                f"use another name"
            )
        document: dict[str, Any] = jsonable({**found, **self.report})
        return document


def imported_pandas() -> Any:
    """Return pandas.

    Raises:
        SettingError: it is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise SettingError(
            "to_frame needs pandas, which is not installed: pip install 'swarmopt[pandas]'"
        ) from error
    return pd
