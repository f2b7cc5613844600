"""What is measured on, and the meter that counts: the same for every algorithm.

A `Meter` stands between an algorithm and a task. It counts every point it is handed, known ones
too, and ends the run by an exception when the budget is spent or the last target is reached. It
derives from BaseException, so that no framework takes it for a failed evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.ecdf import FINAL, NEVER, TARGETS
from swarmopt.space import Space
from swarmopt.types import Integers, Matrix, Vector


@dataclass(frozen=True, eq=False)
class Task:
    """A function to be minimised.

    Attributes:
        suite: where it comes from.
        function: its number there.
        dimension: number of variables.
        instance: of its random data.
        group: the column of the tables it counts for, without the dimension.
        space: its variables.
        cost: takes (n, d) points of the space, returns (n,).
        optimum: the least cost there is.
    """

    suite: str
    function: int
    dimension: int
    instance: int
    group: str
    space: Space
    cost: Callable[[Matrix], Vector]
    optimum: float


class MeterEnd(BaseException):
    """The run is over."""


class Meter:
    """A task that counts.

    Args:
        task: what is evaluated.
        budget: evaluations at most.
        early: the evaluation at which the error is noted on the way.

    Attributes:
        spent: evaluations so far.
        error: the least so far.
        early_error: the least of the first `early` evaluations.
        hits: (targets,) the evaluation at which each target was reached, or NEVER.
    """

    def __init__(self, task: Task, budget: int, early: int) -> None:
        self.task = task
        self.budget = budget
        self.spent = 0
        self.error = np.inf
        self.early_error = np.inf
        self.hits: Integers = np.full(len(TARGETS), NEVER)
        self._early = early
        self._next = 0  # target

    @property
    def done(self) -> bool:
        """Whether the budget is spent or the last target reached."""
        return self.spent >= self.budget or self.error <= FINAL

    def points(self, x: Matrix) -> Vector:
        """Return the costs of points of the task's space, (n, d) -> (n,).

        Raises:
            MeterEnd: the budget does not hold them all, or the last target is reached.
        """
        if self.spent >= self.budget:
            raise MeterEnd
        cost = self.task.cost(x[: self.budget - self.spent])
        self._note(cost - self.task.optimum)
        if len(cost) < len(x) or self.error <= FINAL:
            raise MeterEnd
        return cost

    def point(self, x: Vector) -> float:
        """Return the cost of one point; otherwise as `points`."""
        return float(self.points(np.asarray(x, float)[None])[0])

    def units(self, unit: Matrix) -> Vector:
        """Return the costs of rows of the unit cube, discrete variables as bins of equal width."""
        return self.points(self.task.space.decode(np.clip(unit, 0.0, 1.0)))

    def unit(self, unit: Vector) -> float:
        """Return the cost of one row of the unit cube; otherwise as `units`."""
        return float(self.units(np.asarray(unit, float)[None])[0])

    def _note(self, errors: Vector) -> None:
        n = len(errors)
        if self.spent < self._early:
            seen = errors[: self._early - self.spent]
            self.early_error = min(self.early_error, float(seen.min(initial=np.inf)))
        least = float(errors.min(initial=np.inf))
        if least < self.error:
            self.error = least
            if self._next < len(TARGETS) and least <= TARGETS[self._next]:
                path = np.minimum.accumulate(errors)
                upto = int(np.searchsorted(-TARGETS, -least, side="right"))
                first = np.searchsorted(-path, -TARGETS[self._next : upto], side="left")
                self.hits[self._next : upto] = self.spent + 1 + first
                self._next = upto
        self.spent += n
