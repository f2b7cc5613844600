"""Evaluation by worker processes on this machine, which hold the problem: `--workers N`."""

from types import TracebackType
from typing import Self

from swarmopt.evaluate.crew import Crew
from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.evaluate.faults import settle
from swarmopt.evaluate.pieces import Piece, cut, warn_of_idle
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.sending import pack
from swarmopt.problem import Problem


class Pool:
    """Evaluates on worker processes that each make the problem once.

    What an evaluation does to its worker (see `faults`) is felt by no other evaluation.

    Args:
        problem: ready to evaluate.
        resources: `workers` of them, at least 1.

    Raises:
        WorkerError: the problem cannot be sent to a worker.
    """

    def __init__(self, problem: Problem, resources: Resources) -> None:
        self._problem = problem
        self._chunk = resources.chunk
        self._n_workers = resources.workers or 1
        self._warned = False
        self._crew = Crew(
            pack(problem),
            names=[str(i) for i in range(self._n_workers)],
            timeout=resources.eval_timeout,
            threads=resources.threads,
        )

    @property
    def busy(self) -> bool:
        """Whether anything is being evaluated or waits for it."""
        return self._crew.busy

    def submit(self, work: Work) -> None:
        """Take points to evaluate."""
        self._crew.submit(Piece(part) for part in cut(work, self._problem, self._chunk))

    def wait(self) -> Finished:
        """Return what finishes next, tried again by the rules where a worker died or hung.

        Raises:
            ObjectiveError: the problem breaks its contract.
            WorkerError: workers cannot make the problem.
        """
        if not self._warned:
            self._warned = True
            warn_of_idle(self._crew.n_pieces, self._n_workers)
        while True:
            piece, reply = self._crew.wait()
            finished = settle(piece, reply)
            if finished is not None:
                return finished
            self._crew.again(piece)

    def drop(self) -> None:
        """Forget what no worker has begun."""
        self._crew.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """End the workers."""
        self._crew.close()
