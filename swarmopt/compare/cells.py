"""One run of a comparison, kept small: the improvements and what the algorithm says of itself.

All runs of a comparison together are a problem whose points are the runs. So the evaluators, which
survive a killed worker, carry them out as they carry out evaluations: see `evaluate/faults.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Seeds
from swarmopt.compare.comparison import Cell, Where
from swarmopt.evaluate.evaluator import Finished
from swarmopt.evaluate.in_process import InProcess
from swarmopt.evaluate.sending import pack, unpack
from swarmopt.evaluation import INFEASIBLE, Evaluation, Outcome
from swarmopt.jsonable import jsonable
from swarmopt.limits import Limits
from swarmopt.loop import iterate
from swarmopt.problem import Problem
from swarmopt.search import Search
from swarmopt.space import Space
from swarmopt.types import Matrix
from swarmopt.variables import Integer

KEPT = 100  # points of what an algorithm says of itself


class Runs(Problem):
    """The runs of a comparison as a problem: a point is the number of a run.

    What came of a run is in the info of its evaluation, see `cell_of`.

    Args:
        wanted: problem, algorithm and seed of each run.
        problems: by label; ready to evaluate.
        algorithms: by label.
        budget: evaluations of a run.
        x0: by label of the problem, (k, d) points that every run on it starts with.
    """

    name = "comparison"

    def __init__(
        self,
        wanted: Sequence[Where],
        problems: Mapping[str, Problem],
        algorithms: Mapping[str, AnyAlgorithm],
        budget: int,
        x0: Mapping[str, Matrix],
    ) -> None:
        self.space = Space([Integer(0, max(1, len(wanted) - 1))])
        self._wanted = wanted
        self._problems = dict(problems)
        self._packed: Mapping[str, bytes] = {}
        self._algorithms = algorithms
        self._budget = budget
        self._x0 = x0

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to a worker: problems by their recipes, as evaluators send them."""
        packed = {label: pack(problem) for label, problem in self._problems.items()}
        return {**self.__dict__, "_problems": {}, "_packed": packed}

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - a run draws by its own seed
        """Carry out the run that the point names."""
        problem, algorithm, seed = self._wanted[int(x[0, 0])]
        if problem not in self._problems:
            self._problems[problem] = unpack(self._packed[problem])
        document = run(
            self._problems[problem],
            self._algorithms[algorithm],
            seed=seed,
            budget=self._budget,
            x0=self._x0.get(problem),
        )
        return Evaluation(np.zeros(1), info=[document])


class Recorder(InProcess):
    """Evaluates in this process, and notes every improvement on the least feasible cost."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._n = 0
        self._least = INFEASIBLE
        self.evaluations: list[int] = []
        self.best: list[float] = []

    def wait(self) -> Finished:
        """Evaluate what comes next."""
        finished = super().wait()
        evaluation = finished.evaluation
        key = evaluation.key() + 0.0
        if evaluation.status is not None:
            key = np.where(evaluation.status == Outcome.CENSORED, np.inf, key)
        if len(key) and key.min() < self._least:
            before = np.minimum.accumulate(np.r_[self._least, key[:-1]])
            better = np.flatnonzero(key < before)
            self.evaluations += (self._n + 1 + better).tolist()
            self.best += key[better].tolist()
            self._least = self.best[-1]
        self._n += len(key)
        return finished


def run(
    problem: Problem,
    algorithm: AnyAlgorithm,
    *,
    seed: int,
    budget: int,
    x0: Matrix | None = None,
) -> dict[str, Any]:
    """Run an algorithm to the end of its budget, and return what a cell keeps, as plain values."""
    search = Search(problem, algorithm, seed=seed, limits=Limits(budget), x0=x0)
    recorder = Recorder(problem)
    said: dict[str, tuple[list[float], list[float]]] = {}
    search.clock.start()
    for step in iterate(search, recorder):
        for name, value in step.report.items():
            at, values = said.setdefault(name, ([], []))
            at.append(float(step.nfev))
            values.append(float(value))
    result = search.result()
    end = Evaluation(np.array([result.fun]), np.array([result.violation]))
    document: dict[str, Any] = {
        "nfev": result.nfev,
        "n_failed": result.n_failed,
        "seconds": result.seconds,
        "fun": result.fun if result.success else np.inf,
        "violation": result.violation,
        "key": np.inf if np.isnan(result.x).any() else end.key()[0] + 0.0,
        "evaluations": recorder.evaluations,
        "best": recorder.best,
        "report": {name: [_thinned(at), _thinned(values)] for name, (at, values) in said.items()},
    }
    plain: dict[str, Any] = jsonable(document)
    return plain


def cell_of(where: Where, evaluation: Evaluation) -> Cell:
    """Return the run that an evaluation of `Runs` (one point) tells of."""
    document = evaluation.info[0] if evaluation.info else {}
    if evaluation.outcome[0] != Outcome.OK:
        error = str(document.get("error", "the run ended without a word"))
        document = {"nfev": 0, "n_failed": 0, "seconds": 0.0}
        return _cell(where, document, error)
    return _cell(where, document, None)


def _cell(where: Where, document: Mapping[str, Any], error: str | None) -> Cell:
    """Return a cell from plain values; what is None was not finite, as JSON has it."""
    end = [document.get(name) for name in ("fun", "violation", "key")]
    fun, violation, key = (np.inf if value is None else float(value) for value in end)
    return Cell(
        *where,
        nfev=document["nfev"],
        n_failed=document["n_failed"],
        seconds=document["seconds"],
        fun=fun,
        violation=violation,
        key=key,
        evaluations=np.array(document.get("evaluations", []), np.int64),
        best=np.array(document.get("best", []), np.float64),
        report={
            name: (np.array(at, np.float64), np.array(values, np.float64))
            for name, (at, values) in document.get("report", {}).items()
        },
        error=error,
    )


def _thinned(values: list[float]) -> list[float]:
    """Return at most `KEPT` of the values, evenly spread, the first and the last among them."""
    if len(values) <= KEPT:
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, KEPT).round().astype(int)]
