"""The constraint set: which numbers of channels a group may keep, as a search space.

Xie and Feng, "An efficient channel pruning algorithm for automatic compression and acceleration of
neural network models", 2022, restrict the number of channels of each layer to a small ordered set,
so that few combinations are left; Lin et al., "Channel pruning via automatic structure search"
(ABCPruner), 2020, to tenths of the width.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from swarmopt import Ordinal, Space
from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.structure import Group

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Form = Callable[[Ints], Ints]

BISECTIONS = 30
SMALLEST_SHARE = 0.001


@dataclass(frozen=True, eq=False)
class ConstraintSet:
    """The allowed numbers of channels of the groups that are searched.

    Attributes:
        groups: all groups of the network.
        allowed: for each group the allowed counts, ascending; a single one where the group is
            excluded from the search.
    """

    groups: tuple[Group, ...]
    allowed: tuple[tuple[int, ...], ...]

    @cached_property
    def searched(self) -> tuple[int, ...]:
        """The groups with a choice, by number."""
        return tuple(j for j, counts in enumerate(self.allowed) if len(counts) > 1)

    @cached_property
    def space(self) -> Space:
        """One ordinal variable per searched group, named after it."""
        if not self.searched:
            raise PruningError(
                "the constraint set leaves nothing to search: every group has one allowed count; "
                "lower `minimum`, raise `alpha`, or exclude fewer groups"
            )
        return Space({self.groups[j].name: Ordinal(self.allowed[j]) for j in self.searched})

    @property
    def n_before(self) -> int:
        """How many combinations of counts there are without the constraint set."""
        return math.prod(group.n_units for group in self.groups)

    @property
    def n_after(self) -> int:
        """How many are left with it."""
        return math.prod(len(counts) for counts in self.allowed)

    @cached_property
    def _table(self) -> Floats:
        """(d, most) allowed counts of the searched groups, filled up with inf."""
        most = max(len(self.allowed[j]) for j in self.searched)
        table = np.full((len(self.searched), most), np.inf)
        for row, j in enumerate(self.searched):
            table[row, : len(self.allowed[j])] = self.allowed[j]
        return table

    def counts(self, x: Floats) -> Ints:
        """Return the number of channels of every group.

        Args:
            x: (n, d) points of the space: for each searched group the index of its count.

        Returns:
            (n, groups) counts.
        """
        counts = np.tile([allowed[0] for allowed in self.allowed], (len(x), 1)).astype(np.int64)
        chosen = self._table[np.arange(len(self.searched)), x.astype(np.int64)]
        counts[:, self.searched] = chosen.astype(np.int64)
        return counts

    def repair(self, x: Floats, cost: Form, budget: float) -> Floats:
        """Return points whose cost is within a budget; those that are within it stay.

        A point above it is scaled: every group keeps the largest allowed count below a common
        share of what it kept, as large as the budget permits; then the groups that lost most by
        this get one step back, in order, where the budget permits. Deterministic.

        Args:
            x: (n, d) points of the space.
            cost: of (n, groups) counts, not falling where a count grows.
            budget: that the smallest point of the space must meet.
        """
        over = np.flatnonzero(cost(self.counts(x)) > budget)
        if not len(over):
            return x
        whole = self._table[np.arange(x.shape[1]), x[over].astype(np.int64)]
        low, high = np.zeros(len(over)), np.ones(len(over))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            fits = cost(self.counts(self._floor(whole * middle[:, None]))) <= budget
            low, high = np.where(fits, middle, low), np.where(fits, high, middle)
        wanted = whole * low[:, None]
        index = self._floor(wanted)
        loss = wanted - self._table[np.arange(x.shape[1]), index.astype(np.int64)]
        rows = np.arange(len(over))
        for column in np.argsort(-loss, axis=1, kind="stable").T:
            trial = index.copy()
            trial[rows, column] += 1
            possible = trial[rows, column] <= x[over][rows, column]
            trial[~possible] = index[~possible]
            fits = cost(self.counts(trial)) <= budget
            index = np.where(fits[:, None], trial, index)
        repaired = x.copy()
        repaired[over] = index
        return repaired

    def _floor(self, wanted: Floats) -> Floats:
        """Return (n, d) indices of the largest allowed counts of at most `wanted`, or the first."""
        below = (self._table <= wanted[:, :, None] + 1e-9).sum(axis=2) - 1
        found: Floats = np.maximum(below, 0).astype(float)
        return found


def constrain(
    groups: Sequence[Group],
    *,
    step: float = 0.1,
    minimum: float = 0.1,
    alpha: float = 1.0,
    multiple: int = 1,
    exclude: Sequence[str] = (),
) -> ConstraintSet:
    """Return the constraint set of a network's groups.

    Args:
        groups: of the network.
        step: distance of two allowed counts, as a share of the width.
        minimum: least share that a group keeps.
        alpha: largest share that a group keeps.
        multiple: counts are rounded to multiples of this, where the width allows.
        exclude: patterns (`layer1.*`) of groups that stay whole.

    Raises:
        PruningError: A share out of range.
        UnknownName: A pattern that no group matches.
    """
    for name, share in (("step", step), ("minimum", minimum), ("alpha", alpha)):
        if not SMALLEST_SHARE <= share <= 1:
            raise PruningError(
                f"{name}: expected a share of the width in [{SMALLEST_SHARE}, 1], got {share!r}"
            )
    if minimum > alpha:
        raise PruningError(f"minimum ({minimum!r}) is greater than alpha ({alpha!r})")
    if multiple < 1:
        raise PruningError(f"multiple: expected a whole number of at least 1, got {multiple!r}")
    names = [group.name for group in groups]
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UnknownName("group matching the pattern", pattern, names)
    n_steps = round((alpha - minimum) / step + 1e-9)
    shares = sorted({min(minimum + k * step, alpha) for k in range(n_steps + 1)} | {alpha})
    return ConstraintSet(
        tuple(groups),
        tuple(
            (group.width,)
            if any(fnmatchcase(group.name, pattern) for pattern in exclude)
            else _allowed(group, shares, multiple)
            for group in groups
        ),
    )


def _allowed(group: Group, shares: Sequence[float], multiple: int) -> tuple[int, ...]:
    """Return the counts nearest to the shares of the width that blocks and multiples permit."""
    unit = math.lcm(group.block, multiple)
    if unit > group.width:
        unit = group.block
    counts = set()
    for share in shares:
        count = max(unit, unit * math.floor(group.width * share / unit + 0.5))
        counts.add(
            group.width if count > group.width - unit and share == 1 else min(count, group.width)
        )
    return tuple(sorted(c - c % group.block for c in counts))
