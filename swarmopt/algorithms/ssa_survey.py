"""What the flock knows of the landscape, and how it uses that: dives, and who need not fly.

A dive is one candidate of each generation, at the landscape's lowest point within reach. Reach
grows when a dive beats the leader and shrinks when it does not, as the radius of a trust region. Of
the generation's offspring only those fly that the landscape holds for best; the less it is trusted,
the more, and none but the diver where it is trusted wholly. The others are told to the flock's
model with the costs that the landscape predicts (Hansen, "A global surrogate assisted CMA-ES",
2019).
"""

import math
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of the landscape in an epoch.

    Attributes:
        archive: points evaluated.
        landscape: fitted to them; None where that is not possible.
        reach: of a dive, in units of the radius within which points were fitted.
    """

    archive: Archive
    landscape: Landscape | None
    reach: float

    @classmethod
    def begun(cls, unit: Matrix, key: Vector) -> "Survey":
        """Return what the first birds of an epoch tell, (n, d) with discrete values centred."""
        return cls(Archive(unit, key), None, 1.0)

    @staticmethod
    def can(columns: Columns) -> bool:
        """Return whether there are few enough variables."""
        return 0 < len(columns.free) <= WIDEST and columns.categories.sum() <= CHOICES

    def dive(self) -> Vector | None:
        """Return the lowest point within reach, (d,); None where there is none."""
        if self.landscape is None:
            return None
        return lowest(self.landscape, self.archive, self.reach)

    def flying(self, unit: Matrix, least: int) -> Integers:
        """Return the indices, ascending, of the offspring that are to be evaluated.

        Args:
            unit: (n, d) all offspring, discrete values centred.
            least: how many at least.
        """
        n = len(unit)
        if self.landscape is None:
            return np.arange(n)
        columns = self.landscape.coordinates.columns
        mixed = columns.n_discrete > 0 and not columns.purely_discrete
        high, low = (TRUSTED_OF_MIXED, DOUBTED_OF_MIXED) if mixed else (TRUSTED, DOUBTED)
        doubt = (high - self.landscape.trust) / (high - low)
        n_flying = max(least, math.ceil(n * min(max(doubt, 0.0), 1.0)))
        if n_flying >= n:
            return np.arange(n)
        cost = self.landscape.predict(unit)
        if columns.purely_discrete:
            cost = np.where(self.archive.knows(unit), np.inf, cost)
        return np.sort(cost.argsort(kind="stable")[:n_flying])

    def told(
        self, columns: Columns, leader: Vector, model: FlockModel | None, unit: Matrix, key: Vector
    ) -> "Survey":
        """Return the survey with a batch, (n, d) centred, around the leader after it."""
        archive = self.archive.seen(unit, key)
        return replace(self, archive=archive, landscape=fitted(archive, columns, leader, model))

    def dived(self, *, won: bool) -> "Survey":
        """Return the survey after a dive that beat the leader, or did not."""
        reach = self.reach * (FURTHER if won else NEARER)
        return replace(self, reach=min(max(reach, NEAREST_REACH), FURTHEST))
