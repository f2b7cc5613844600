"""Evaluation in this process: one call per population, or one per point."""

from collections import deque
from types import TracebackType
from typing import Self

from swarmopt.evaluate.attempt import attempt
from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.evaluate.faults import settle
from swarmopt.evaluate.pieces import Piece, cut
from swarmopt.evaluate.resources import Resources
from swarmopt.problem import Problem


class InProcess:
    """Evaluates a vectorized problem with one call per chunk of work, another one point a call.

    What ends a process ends the run: a segmentation fault, `os._exit`, a hang. Workers survive it.

    Args:
        problem: ready to evaluate.
        resources: of which `chunk` is used.
    """

    def __init__(self, problem: Problem, resources: Resources | None = None) -> None:
        self._problem = problem
        self._chunk = None if resources is None else resources.chunk
        self._queue: deque[Work] = deque()

    @property
    def busy(self) -> bool:
        """Whether anything is left to evaluate."""
        return bool(self._queue)

    def submit(self, work: Work) -> None:
        """Take points to evaluate."""
        self._queue.extend(cut(work, self._problem, self._chunk))

    def wait(self) -> Finished:
        """Evaluate what comes next."""
        work = self._queue.popleft()
        finished = settle(Piece(work), attempt(self._problem, work))
        assert finished is not None  # noqa: S101 - for the type checker: nothing is lost here
        return finished

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
