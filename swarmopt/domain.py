"""What an algorithm may know of a space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from swarmopt.types import Integers, Mask, Matrix, Vector


@dataclass(frozen=True, eq=False)
class Domain:
    """What an algorithm may know of a space.

    Attributes:
        levels: (d,) how many values each column has; 0 means continuous.
        nominal: (d,) whether the levels of a column have no order.
        low: (d,) lower bounds in the user's units (logarithms for log columns, 0 for choices).
        high: (d,) upper bounds, alike (K - 1 for choices).
    """

    levels: Integers
    nominal: Mask
    low: Vector
    high: Vector

    @property
    def d(self) -> int:
        """The number of variables."""
        return len(self.levels)

    @cached_property
    def discrete(self) -> Mask:
        """(d,) which columns are bins."""
        return self.levels > 0

    @cached_property
    def ordered(self) -> Mask:
        """(d,) which columns are bins with an order: integers and ordinals."""
        return self.discrete & ~self.nominal

    @cached_property
    def continuous(self) -> Mask:
        """(d,) which columns are real numbers."""
        return ~self.discrete

    @cached_property
    def n_discrete(self) -> int:
        """The number of discrete columns."""
        return int(self.discrete.sum())

    @cached_property
    def size(self) -> float:
        """The number of points: a whole number as far as float64 goes, inf with a real column."""
        if not self.discrete.all():
            return np.inf
        with np.errstate(over="ignore"):
            return float(np.prod(self.levels.astype(float)))

    @cached_property
    def _bins(self) -> Vector:
        return self.levels.astype(float)

    @cached_property
    def _last(self) -> Vector:
        return np.maximum(self._bins - 1.0, 0.0)

    @cached_property
    def divisor(self) -> Vector:
        """(d,) by how much one level is narrower than the cube; 1 in continuous columns."""
        return np.maximum(self._bins, 1.0)

    def level(self, unit: Matrix) -> Matrix:
        """Return the index of each value's bin, (n, d); meaningless in continuous columns."""
        level = np.floor(unit * self._bins)
        found: Matrix = np.maximum(np.minimum(level, self._last), 0.0)  # np.clip costs more
        return found

    def centre(self, unit: Matrix) -> Matrix:
        """Return a copy with every discrete value moved to the middle of its bin, (n, d)."""
        if not self.n_discrete:
            return unit.copy()
        return np.where(self.discrete, (self.level(unit) + 0.5) / self.divisor, unit)
