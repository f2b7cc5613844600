"""The best keys known, which an evaluation must beat to be worth finishing."""

from heapq import heappush, heappushpop

import numpy as np

from swarmopt.evaluation import INFEASIBLE
from swarmopt.types import Vector

RACED = 20  # the place that a candidate must be certain to miss, or it is evaluated to the end


class Race:
    """The `RACED` least keys of a run."""

    def __init__(self) -> None:
        self._best: list[float] = []  # negative, so that the first one is the greatest key

    @property
    def bound(self) -> float:
        """The greatest of them; inf as long as there are fewer."""
        return -self._best[0] if len(self._best) == RACED else np.inf

    def note(self, keys: Vector) -> None:
        """Take keys into account; those of infeasible and failed points are none to beat."""
        for key in keys[keys < INFEASIBLE].tolist():
            if len(self._best) < RACED:
                heappush(self._best, -key)
            else:
                heappushpop(self._best, -key)
