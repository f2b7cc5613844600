"""Which columns of a domain each mechanism of the default sparrow search works on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from swarmopt.domain import Domain
from swarmopt.types import Integers, Mask, Matrix, Vector


@dataclass(frozen=True, eq=False)
class Columns:
    """Which columns of a domain each mechanism works on; columns of one level are left out."""

    domain: Domain

    @cached_property
    def free(self) -> Integers:
        """Indices of the columns with more than one value."""
        return np.flatnonzero(self.domain.levels != 1)

    @cached_property
    def numeric(self) -> Integers:
        """(k,) indices of the free columns with an order: the Gaussian model's variables."""
        return self.free[~self.domain.nominal[self.free]]

    @cached_property
    def nominal(self) -> Integers:
        """(c,) indices of the free columns without an order."""
        return self.free[self.domain.nominal[self.free]]

    @cached_property
    def bins(self) -> Vector:
        """(k,) the number of levels of the numeric columns, 0 where continuous."""
        return self.domain.levels[self.numeric].astype(float)

    @cached_property
    def real(self) -> Integers:
        """Indices, within the k numeric columns, of the continuous ones."""
        return np.flatnonzero(self.bins == 0)

    @cached_property
    def whole(self) -> Integers:
        """Indices, within the k numeric columns, of the discrete ones."""
        return np.flatnonzero(self.bins)

    @cached_property
    def categories(self) -> Vector:
        """(c,) the number of levels of the nominal columns."""
        return self.domain.levels[self.nominal].astype(float)

    @cached_property
    def n_choices(self) -> int:
        """The number of levels of all nominal columns together."""
        return int(self.categories.sum())

    @cached_property
    def first_level(self) -> Integers:
        """(d,) where each discrete column begins in a list of the ordered ones and all choices."""
        n_levels = self.categories.astype(np.int64)
        found = np.zeros(self.domain.d, np.int64)
        found[self.numeric[self.whole]] = np.arange(len(self.whole))
        found[self.nominal] = len(self.whole) + np.cumsum(n_levels) - n_levels
        return found

    @cached_property
    def n_discrete(self) -> int:
        """The number of free discrete columns."""
        return int((self.domain.levels > 1).sum())

    @cached_property
    def only_numeric(self) -> bool:
        """Whether the numeric columns are all there are."""
        return len(self.numeric) == self.domain.d

    @cached_property
    def purely_discrete(self) -> bool:
        """Whether no column is continuous."""
        return self.n_discrete == len(self.free)

    @cached_property
    def steps(self) -> "Steps":
        """Every change of one discrete column.

        Ordered columns go one level up or down, nominal ones to every other level, round the end.
        """
        ordered = np.flatnonzero(self.domain.ordered & (self.domain.levels > 1))
        others = self.domain.levels[self.nominal] - 1
        round_the_end = [np.arange(1, n + 1) for n in others.tolist()]
        column = np.concatenate([ordered, ordered, np.repeat(self.nominal, others)])
        shift = np.concatenate([np.ones_like(ordered), -np.ones_like(ordered), *round_the_end])
        nominal = self.domain.nominal[column]
        return Steps(column, shift, self.domain.levels[column], nominal, self.first_level[column])

    def neighbours(self, unit: Vector) -> Matrix:
        """Return (m, d): a point, (d,), with one of `steps` made; those over an end are left out.

        Args:
            unit: discrete values in the middle of their bins.
        """
        steps = self.steps
        column, levels = steps.column, steps.levels
        level = np.floor(unit[column] * levels) + steps.shift
        level = np.where(steps.nominal, level % levels, level)
        inside = (level >= 0) & (level < levels)
        moved = np.repeat(unit[None], np.count_nonzero(inside), axis=0)
        value = (level[inside] + 0.5) / levels[inside]
        moved[np.arange(len(moved)), column[inside]] = value
        return moved

    def centred_elsewhere(self, mean: Vector, numeric: Matrix, centred: Matrix) -> Matrix:
        """Return (n, k) with discrete values outside the mean's bin in the middle of theirs.

        Source: Marty and others, "LB+IC-CMA-ES: two simple modifications of CMA-ES to handle
        mixed-integer problems", 2024 (integer centring).

        Args:
            mean: (k,) of the Gaussian model.
            numeric: (n, k) candidates, numeric columns only.
            centred: (n, d) candidates, discrete values in the middle of their bins.
        """
        home = np.floor(np.minimum(mean, 1.0 - 1e-12) * self.bins)
        away = (self.bins > 0) & (np.floor(numeric * self.bins) != home)
        return np.where(away, centred[:, self.numeric], numeric)


@dataclass(frozen=True, eq=False)
class Steps:
    """Changes of one discrete column each, m in all.

    Attributes:
        column: (m,) the column.
        shift: (m,) by how many levels.
        levels: (m,) how many levels the column has.
        nominal: (m,) whether they are unordered.
        first: (m,) where the column begins among `Columns.first_level`.
    """

    column: Integers
    shift: Integers
    levels: Integers
    nominal: Mask
    first: Integers

    @cached_property
    def unordered(self) -> Integers:
        """Indices of the steps of nominal columns."""
        return self.nominal.nonzero()[0]

    @cached_property
    def sign(self) -> Integers:
        """(m,) how far a step goes along its row: its shift, or 1 to a level that is a row."""
        return np.where(self.nominal, 1, self.shift)
