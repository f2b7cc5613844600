"""Evaluation in this process: one call per population, or one per point."""

import traceback
from collections import deque
from types import TracebackType
from typing import Self

from swarmopt.algorithm import Seeds
from swarmopt.errors import ObjectiveError
from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.problem import Problem
from swarmopt.types import Matrix


class InProcess:
    """Evaluates a vectorized problem with one call per piece of work, another one point a call."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._queue: deque[Work] = deque()

    @property
    def busy(self) -> bool:
        """Whether anything is left to evaluate."""
        return bool(self._queue)

    def submit(self, work: Work) -> None:
        """Take points to evaluate."""
        if self._problem.vectorized or len(work.x) == 1:
            self._queue.append(work)
            return
        for i in range(len(work.x)):
            one = slice(i, i + 1)
            seeds = Seeds(work.seeds.seed, work.seeds.ids[one])
            self._queue.append(Work(work.batch, work.rows[one], work.x[one], seeds, work.bound))

    def wait(self) -> Finished:
        """Evaluate what comes next."""
        work = self._queue.popleft()
        evaluation = attempt(self._problem, work.x, work.seeds, work.bound)
        return Finished(work.batch, work.rows, evaluation)

    def drop(self) -> None:
        """Forget what is left."""
        self._queue.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Nothing is held."""


def attempt(problem: Problem, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
    """Return the evaluation of points in this process, whatever becomes of it.

    Args:
        problem: a vectorized one takes several points.
        x: (n, d) points.
        seeds: n of them.
        bound: see `Problem.evaluate`.

    Raises:
        ObjectiveError: the problem breaks its contract. Any other exception is an evaluation that
            failed: its traceback is in the info.
    """
    try:
        evaluation = problem.evaluate(x.copy(), seeds, bound)  # an objective may write into x
    except ObjectiveError as error:
        text = str(error)
        raise ObjectiveError(text if problem.name in text else f"{problem.name}: {text}") from error
    except (Exception, SystemExit):  # noqa: BLE001 - whatever an objective raises is a failure
        return Evaluation.failed(len(x), Outcome.RAISED, traceback.format_exc())
    if not isinstance(evaluation, Evaluation):
        raise ObjectiveError(
            f"{problem.name}: evaluate returned {type(evaluation).__name__}; expected a "
            f"swarmopt.Evaluation"
        )
    if len(evaluation) != len(x):
        raise ObjectiveError(
            f"{problem.name}: evaluate returned {len(evaluation)} costs for {len(x)} points"
        )
    return evaluation
