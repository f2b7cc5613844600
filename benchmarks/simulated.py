"""An evaluator on a clock of its own, for more workers than a machine has."""

import heapq
from collections import deque
from types import TracebackType
from typing import Self

import numpy as np
from numpy.random import Generator

from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.evaluation import Evaluation


class Simulated:
    """Takes for each point as long as it is told, on so many workers, and costs nothing.

    Args:
        workers: how many points are evaluated at once.
        spread: standard deviation of the logarithm of the time of an evaluation; its mean is 1.
        rng: draws the times.

    Attributes:
        now: the time that has passed, in means of an evaluation.
        used: the same, summed over workers that were busy.
    """

    def __init__(self, workers: int, spread: float, rng: Generator) -> None:
        self._workers = workers
        self._spread = spread
        self._rng = rng
        self._queue: deque[Work] = deque()
        self._running: list[tuple[float, int, Work]] = []
        self._n = 0
        self.now = 0.0
        self.used = 0.0

    @property
    def busy(self) -> bool:
        """Whether anything is left."""
        return bool(self._queue or self._running)

    def submit(self, work: Work) -> None:
        """Take points, one by one."""
        for i in range(len(work.x)):
            one = slice(i, i + 1)
            self._queue.append(
                Work(work.batch, work.rows[one], work.x[one], work.seeds, work.bound)
            )

    def wait(self) -> Finished:
        """Move the clock to the end of the next evaluation."""
        while self._queue and len(self._running) < self._workers:
            seconds = self._rng.lognormal(-(self._spread**2) / 2, self._spread)
            self.used += seconds
            self._n += 1
            heapq.heappush(self._running, (self.now + seconds, self._n, self._queue.popleft()))
        self.now, _, work = heapq.heappop(self._running)
        return Finished(work.batch, work.rows, Evaluation(np.zeros(len(work.x))))

    def drop(self) -> None:
        """Forget what has not begun."""
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
