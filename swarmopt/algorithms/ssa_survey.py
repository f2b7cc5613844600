"""What the flock knows of the landscape, and how it uses that: dives, and who need not fly.

A dive is one candidate at the landscape's lowest point within reach. Reach grows when a dive beats
the leader and shrinks when it does not, as the radius of a trust region. Of a generation's
offspring only those fly that the landscape holds for best; the less it is trusted, the more. The
others are told to the flock's model with the costs that the landscape predicts (Hansen, "A global
surrogate assisted CMA-ES", 2019).
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
TRUSTED = 0.9  # Kendall's tau from which on one offspring of a generation flies
DOUBTED = 0.4  # and up to which all do
FURTHER, NEARER = 1.5, 0.6  # factors on reach after a dive
FURTHEST, NEAREST_REACH = 2.0, 0.02


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of the landscape in an epoch.

    Attributes:
        archive: points evaluated.
        landscape: fitted to them; None where that is not possible.
        reach: of a dive, in units of the radius within which points were fitted.
        diving: whether a dive comes next.
        dived: (m, d) the dives since the last generation.
        dived_key: (m,) their keys.
    """

    archive: Archive
    landscape: Landscape | None
    reach: float
    diving: bool
    dived: Matrix
    dived_key: Vector

    @classmethod
    def begun(cls, unit: Matrix, key: Vector) -> "Survey":
        """Return what the first birds of an epoch tell, (n, d) with discrete values centred."""
        nothing = np.empty((0, unit.shape[1]))
        return cls(Archive(unit, key), None, 1.0, diving=True, dived=nothing, dived_key=np.empty(0))

    @staticmethod
    def can(columns: Columns) -> bool:
        """Return whether there are few enough variables."""
        return 0 < len(columns.free) <= WIDEST and columns.categories.sum() <= CHOICES

    @property
    def trust(self) -> float:
        """Of the landscape, in [-1, 1]; -1 without one."""
        return -1.0 if self.landscape is None else self.landscape.trust

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
        doubt = (TRUSTED - self.trust) / (TRUSTED - DOUBTED)
        n_flying = max(least, math.ceil(n * min(max(doubt, 0.0), 1.0)))
        if self.landscape is None or n_flying >= n:
            return np.arange(n)
        cost = self.landscape.predict(unit)
        if self.landscape.coordinates.columns.purely_discrete:
            cost = np.where(self.archive.knows(unit), np.inf, cost)
        return np.sort(cost.argsort(kind="stable")[:n_flying])

    def told(
        self, columns: Columns, leader: Vector, model: FlockModel | None, unit: Matrix, key: Vector
    ) -> "Survey":
        """Return the survey with a batch, (n, d) centred, around the leader after it."""
        archive = self.archive.seen(unit, key)
        return replace(self, archive=archive, landscape=fitted(archive, columns, leader, model))

    def dived_to(self, unit: Vector, key: float, *, won: bool) -> "Survey":
        """Return the survey after a dive: another comes if this one beat the leader."""
        reach = self.reach * (FURTHER if won else NEARER)
        return replace(
            self,
            reach=min(max(reach, NEAREST_REACH), FURTHEST),
            diving=won,
            dived=np.concatenate([self.dived, unit[None]]),
            dived_key=np.append(self.dived_key, key),
        )

    def after_generation(self) -> "Survey":
        """Return the survey with its dives forgotten and the next one due."""
        return replace(self, diving=True, dived=self.dived[:0], dived_key=self.dived_key[:0])
