"""What the flock knows of the landscape, and how it uses that: dives, and who need not fly.

A dive is one candidate of a generation, at the landscape's lowest point within reach. Reach grows
when a dive beats the leader and shrinks when it does not, as the radius of a trust region. Of the
generation's offspring only those fly that the landscape holds for best; the less it is trusted,
the more, and none but the diver where it is trusted wholly. The others are told to the flock's
model with the costs that the landscape predicts (Hansen, "A global surrogate assisted CMA-ES",
2019).

Fitting takes more time than all else. At first a landscape is fitted after every generation,
however few fly. Later in a run half of a generation flies at least, and after a dive that loses the
landscape rests for some generations, in which all fly: none after the first in a row, then 1, 3
and 7. A dive that wins has it fitted every time again.
"""

import math
from dataclasses import dataclass

import numpy as np

from swarmopt.algorithms.descent import lowest
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.algorithms.landscape import Archive, Landscape, fitted
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.types import Integers, Matrix, Vector

WIDEST = 40  # free variables up to which a landscape is fitted
CHOICES = 400  # and levels of unordered ones, in all
SURVEYED = 2  # epochs with a landscape: a function that outlasts them has many valleys
TRUSTED, DOUBTED = 0.6, 0.2  # Kendall's tau from which on no offspring need fly; up to which all do
TRUSTED_OF_MIXED, DOUBTED_OF_MIXED = 0.9, 0.4  # where rounding bends what reals do
FURTHER, NEARER = 1.5, 0.6  # factors on reach after a dive
FURTHEST, NEAREST_REACH = 2.0, 0.2
EARLY = 100  # evaluations a variable in which no landscape rests and as few fly as are needed
LEAST = 0.5  # of a generation flies later, however much the landscape is trusted
DOUBLINGS = 3  # of a rest, at most


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of the landscape in an epoch.

    Attributes:
        archive: points evaluated.
        landscape: fitted to them; None where that is not possible.
        reach: of a dive, in units of the radius within which points were fitted.
        n_lost: dives in a row that did not beat the leader.
        rest: generations that are to fly without the landscape.
    """

    archive: Archive
    landscape: Landscape | None
    reach: float
    n_lost: int = 0
    rest: int = 0

    @classmethod
    def begun(cls, unit: Matrix, key: Vector) -> "Survey":
        """Return what the first birds of an epoch tell, (n, d) with discrete values centred."""
        return cls(Archive(unit, key), None, 1.0)

    @staticmethod
    def can(columns: Columns) -> bool:
        """Return whether there are few enough variables."""
        return 0 < len(columns.free) <= WIDEST and columns.categories.sum() <= CHOICES

    def dive(self) -> Vector | None:
        """Return the lowest point within reach, (d,); None where there is none, and at rest."""
        if self.landscape is None or self.rest:
            return None
        return lowest(self.landscape, self.archive, self.reach)

    def flying(self, unit: Matrix, least: int) -> Integers:
        """Return the indices, ascending, of the offspring that are to be evaluated.

        Args:
            unit: (n, d) all offspring, discrete values centred.
            least: how many at least.
        """
        n = len(unit)
        if self.landscape is None or self.rest:
            return np.arange(n)
        columns = self.landscape.coordinates.columns
        trusted, doubted = _bounds(columns)
        doubt = (trusted - self.landscape.trust) / (trusted - doubted)
        n_flying = max(least, math.ceil(n * min(max(doubt, 0.0), 1.0)))
        if n_flying >= n:
            return np.arange(n)
        cost = self.landscape.predict(unit)
        if columns.purely_discrete:
            cost = np.where(self.archive.knows(unit), np.inf, cost)
        return np.sort(cost.argsort(kind="stable")[:n_flying])

    def told(self, unit: Matrix, key: Vector) -> "Survey":
        """Return the survey with a batch, (n, d) centred, in its archive."""
        archive, rest = self.archive.seen(unit, key), max(0, self.rest - 1)
        return Survey(archive, self.landscape, self.reach, self.n_lost, rest)

    def dived(self, *, won: bool, n_told: int) -> "Survey":
        """Return the survey after a dive.

        Args:
            won: whether it beat the leader.
            n_told: evaluations of the run so far.
        """
        reach = min(max(self.reach * (FURTHER if won else NEARER), NEAREST_REACH), FURTHEST)
        rests = not won and late(self.archive.unit.shape[1], n_told)
        rest = 2 ** min(self.n_lost, DOUBLINGS) - 1 if rests else 0
        return Survey(self.archive, self.landscape, reach, 0 if won else self.n_lost + 1, rest)

    def fitted(self, columns: Columns, leader: Vector, model: FlockModel | None) -> "Survey":
        """Return the survey with a new landscape, around the leader."""
        landscape = fitted(self.archive, columns, leader, model)
        return Survey(self.archive, landscape, self.reach, self.n_lost, self.rest)


def late(d: int, n_told: int) -> bool:
    """Return whether a run over d variables has so many evaluations that time counts as well."""
    return n_told >= EARLY * d


def _bounds(columns: Columns) -> tuple[float, float]:
    """Return the trust from which on no offspring need fly, and up to which all do."""
    if columns.n_discrete and not columns.purely_discrete:
        return TRUSTED_OF_MIXED, DOUBTED_OF_MIXED
    return TRUSTED, DOUBTED
