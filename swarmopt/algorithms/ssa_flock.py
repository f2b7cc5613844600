"""What the flock of the default sparrow search remembers: birds, successful settings, stagnation.

Only the order of keys is used, so nothing here calculates with them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.types import Integers, Matrix, Vector

NEAREST = -1  # as a slot: the candidate competes with the bird nearest to it
STRETCHES = 8  # of an epoch's recent past that the alarm compares


@dataclass(frozen=True, eq=False)
class Flock:
    """The birds remembered.

    Attributes:
        unit: (m, d) their positions, discrete values in the middle of their bins.
        key: (m,) what they cost; lower is better.
        order: (m,) their indices, best first.
    """

    unit: Matrix
    key: Vector
    order: Integers

    def __len__(self) -> int:
        return len(self.key)

    @property
    def leader(self) -> Vector:
        """The position of the best bird, (d,)."""
        found: Vector = self.unit[self.order[0]]
        return found

    def elite(self, share: float) -> int:
        """Return how many of the best count as producers: at least two, where there are two."""
        return min(len(self), max(2, math.ceil(share * len(self))))

    def overtaken(self, slot: Integers, key: Vector) -> Integers:
        """Return (s,) how many ranks lie between birds (s,) and better keys (s,)."""
        ranked = self.key[self.order]
        before: Integers = np.searchsorted(ranked, self.key[slot])
        overtaken: Integers = before - np.searchsorted(ranked, key)
        return overtaken

    def challenged(self, target: Integers, unit: Matrix, key: Vector, order: Integers) -> "Flock":
        """Return the flock after each candidate met a bird: better or equal wins.

        Args:
            target: (n,) the bird each candidate meets.
            unit: (n, d) candidates, discrete values in the middle of their bins.
            key: (n,) their keys.
            order: (n,) their indices, best first.
        """
        entering = order[::-1]  # the best is written last
        entering = entering[key[entering] <= self.key[target[entering]]]
        if not len(entering):
            return self
        place = target[entering]
        new_unit, new_key = self.unit.copy(), self.key.copy()
        new_unit[place] = unit[entering]
        new_key[place] = key[entering]
        return Flock(new_unit, new_key, new_key.argsort(kind="stable"))


def nearest(columns: Columns, flock: Flock, unit: Matrix) -> Integers:
    """Return (n,) the index of the bird nearest to each candidate.

    Distances are Euclidean in ordered columns; a different category counts 1.

    Args:
        columns: of d columns.
        flock: m birds.
        unit: (n, d) candidates, discrete values in the middle of their bins.
    """
    birds = flock.unit
    origin = birds[flock.order[0]]  # keeps the differences of a close flock exact
    here, there = unit - origin, birds - origin
    if not columns.only_numeric:
        here, there = here[:, columns.numeric], there[:, columns.numeric]
    square = (there * there).sum(axis=1) - 2.0 * (here @ there.T)  # (n, m), without |here|^2
    if len(columns.nominal):
        nominal = columns.nominal
        square = square + (unit[:, None, nominal] != birds[None, :, nominal]).sum(axis=2)
    found: Integers = square.argmin(axis=1)
    return found


@dataclass(frozen=True, eq=False)
class SuccessMemory:
    """Centres from which scroungers draw their difference weight and crossover rate.

    Source: Tanabe and Fukunaga, "Success-history based parameter adaptation for differential
    evolution", 2013. There a success weighs what it gains in cost, here what it gains in rank.

    Attributes:
        weight: (h,) means of successful difference weights F.
        crossover: (h,) means of successful crossover rates CR.
        oldest: the entry to be overwritten next.
    """

    weight: Vector
    crossover: Vector
    oldest: int = 0

    def draw(self, n: int, rng: Generator) -> tuple[Vector, Vector]:
        """Return F and CR, (n,) each."""
        entry = (rng.random(n) * len(self.weight)).astype(np.int64)
        weight = self.weight[entry] + 0.1 * rng.standard_cauchy(n)
        crossover = self.crossover[entry] + 0.1 * rng.standard_normal(n)
        return weight.clip(0.1, 1.0), crossover.clip(0.0, 1.0)

    def learnt(self, weight: Vector, crossover: Vector, overtaken: Integers) -> "SuccessMemory":
        """Return the memory after s >= 1 successes.

        Args:
            weight: (s,) F of the scroungers that improved their slot.
            crossover: (s,) their CR.
            overtaken: (s,) how many birds of the flock each of them overtook.
        """
        share = 1.0 + overtaken
        share /= share.sum()
        weights, crossovers = self.weight.copy(), self.crossover.copy()
        weights[self.oldest] = (share @ weight**2) / (share @ weight)  # Lehmer mean
        crossovers[self.oldest] = share @ crossover
        return SuccessMemory(weights, crossovers, (self.oldest + 1) % len(weights))


@dataclass(frozen=True, eq=False)
class Watch:
    """What the alarm knows of an epoch.

    Attributes:
        patience: batches that may pass without a change.
        batches: how many were told.
        last: best key of the last batch.
        equal: for how many batches in a row it has been that.
        stretches: (8,) best key of each half patience, the newest last.
    """

    patience: int
    batches: int
    last: float
    equal: int
    stretches: Vector

    @classmethod
    def begun(cls, patience: int) -> "Watch":
        """Return a watch that has seen nothing."""
        return cls(patience, 0, np.nan, 0, np.full(STRETCHES, np.inf))

    @property
    def flat(self) -> bool:
        """Whether all recent batches had the same best key."""
        return self.equal >= self.patience

    @property
    def stagnating(self) -> bool:
        """Whether the younger half of the stretches, once full, is no better than the older."""
        half = STRETCHES // 2
        full = self.batches >= STRETCHES * self._length and self.batches % self._length == 0
        return full and bool(self.stretches[half:].min() >= self.stretches[:half].min())

    @property
    def _length(self) -> int:
        return max(1, self.patience // 2)

    def seen(self, key: float) -> "Watch":
        """Return the watch after a batch whose best key was this."""
        stretches = self.stretches
        if self.batches % self._length == 0:
            stretches = np.append(stretches[1:], key)
        elif key < stretches[-1]:
            stretches = stretches.copy()
            stretches[-1] = key
        equal = self.equal + 1 if key == self.last else 0
        return Watch(self.patience, self.batches + 1, key, equal, stretches)
