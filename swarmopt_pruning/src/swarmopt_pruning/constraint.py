"""The constraint set: which numbers of channels the groups may keep, as a search space.

Xie and Feng, "An efficient channel pruning algorithm for automatic compression and acceleration of
neural network models", 2022, restrict the number of channels of each layer to a small ordered set,
so that few combinations are left; Lin et al., "Channel pruning via automatic structure search"
(ABCPruner), 2020, to tenths of the width. `codes.py` makes the set from settings.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from swarmopt import Ordinal, Space
from swarmopt_pruning.budget import Budget
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.structure import Group

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BISECTIONS = 30


@dataclass(frozen=True)
class Code:
    """One number of the search, and how many channels it means for one or several groups.

    Args:
        name: of the group, or of what ties several.
        groups: which groups, by number.
        counts: for each level, from the smallest, the channels of each of these groups; none of
            them falls from one level to the next.
    """

    name: str
    groups: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class ConstraintSet:
    """The allowed numbers of channels of the groups that are searched.

    Attributes:
        groups: all groups of the network.
        codes: what decides about them, every group in one code; a code with a single level is not
            searched.
    """

    groups: tuple[Group, ...]
    codes: tuple[Code, ...]

    @cached_property
    def searched(self) -> tuple[Code, ...]:
        """The codes with a choice."""
        return tuple(code for code in self.codes if len(code.counts) > 1)

    @cached_property
    def allowed(self) -> tuple[tuple[int, ...], ...]:
        """For each group the allowed counts, ascending."""
        found: dict[int, tuple[int, ...]] = {}
        for code in self.codes:
            for place, group in enumerate(code.groups):
                found[group] = tuple(sorted({level[place] for level in code.counts}))
        return tuple(found[j] for j in range(len(self.groups)))

    @cached_property
    def space(self) -> Space:
        """One ordinal variable per searched code, named after it.

        Its choices are the counts; where a code means different counts for several groups, the
        shares of their channels.
        """
        if not self.searched:
            raise PruningError(
                "the constraint set leaves nothing to search: every group has one allowed count; "
                "lower `minimum`, raise `alpha`, or exclude fewer groups"
            )
        return Space({code.name: Ordinal(self._choices(code)) for code in self.searched})

    def _choices(self, code: Code) -> list[int] | list[float]:
        if all(len(set(level)) == 1 for level in code.counts):
            return [level[0] for level in code.counts]
        width = sum(self.groups[j].width for j in code.groups)
        return [round(sum(level) / width, 9) for level in code.counts]

    @property
    def n_before(self) -> int:
        """How many combinations of counts there are without the constraint set."""
        return math.prod(group.n_units for group in self.groups)

    @property
    def n_after(self) -> int:
        """How many are left with it."""
        return math.prod(len(code.counts) for code in self.codes)

    @cached_property
    def _table(self) -> Floats:
        """(d, most levels) channels of each searched code's groups together, filled with inf."""
        most = max((len(code.counts) for code in self.searched), default=0)
        table = np.full((len(self.searched), most), np.inf)
        for row, code in enumerate(self.searched):
            table[row, : len(code.counts)] = [sum(level) for level in code.counts]
        return table

    @cached_property
    def _levels(self) -> tuple[Ints, Ints]:
        """(groups,) the searched code that decides about each group, their number for none.

        And (groups, most levels) the group's counts at each level; at 0 where there is no choice.
        """
        deciding = np.full(len(self.groups), len(self.searched), dtype=np.int64)
        counts = np.zeros((len(self.groups), max(1, self._table.shape[1])), dtype=np.int64)
        for code in self.codes:
            counts[list(code.groups), : len(code.counts)] = np.array(code.counts).T
        for column, code in enumerate(self.searched):
            deciding[list(code.groups)] = column
        return deciding, counts

    @property
    def whole(self) -> Floats:
        """(d,) the point with the most channels."""
        return np.array([len(code.counts) - 1.0 for code in self.searched])

    def counts(self, x: Floats) -> Ints:
        """Return the number of channels of every group.

        Args:
            x: (n, d) points of the space: for each searched code its level, from 0.

        Returns:
            (n, groups) counts.
        """
        deciding, counts = self._levels
        level = np.append(x.astype(np.int64), np.zeros((len(x), 1), dtype=np.int64), axis=1)
        found: Ints = counts[np.arange(len(self.groups)), level[:, deciding]]
        return found

    def fit(self, budget: Budget) -> dict[str, int]:
        """Return the channels of every group at the largest common share that a budget permits.

        That is uniform pruning: the whole network, repaired down to the budget.

        Raises:
            PruningError: Even the smallest candidate exceeds the budget.
        """
        counts = self.counts(self.repair(self.whole[None], budget))[0]
        return {
            group.name: count for group, count in zip(self.groups, counts.tolist(), strict=True)
        }

    def repair(self, x: Floats, budget: Budget, *, fill: bool = False) -> Floats:
        """Return points that are within a budget.

        A point is scaled: every code takes the largest level below a common share of what it kept,
        as large as the budget permits; then the codes that lost most by this get one step back, in
        order, as long as the budget permits any. Deterministic, and each point for itself.

        Args:
            x: (n, d) points of the space.
            budget: that no returned point exceeds.
            fill: whether points below the budget are scaled too, up to it; otherwise they stay.
                A point that was filled stays.

        Raises:
            PruningError: Even the smallest candidate exceeds the budget.
        """
        chosen = np.arange(len(x)) if fill else np.flatnonzero(~budget.within(self.counts(x)))
        if not len(chosen):
            return x
        budget.check_reachable(self.counts(np.zeros((1, x.shape[1])))[0])
        columns = np.arange(x.shape[1])
        whole = self._table[columns, x[chosen].astype(np.int64)]
        most = np.broadcast_to(self.whole, whole.shape) if fill else x[chosen]
        widest = self._table[columns, most.astype(np.int64)]
        low, high = np.zeros(len(chosen)), (widest / whole).max(axis=1)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            wanted = np.minimum(whole * middle[:, None], widest)
            fits = budget.within(self.counts(self._floor(wanted)))
            low, high = np.where(fits, middle, low), np.where(fits, high, middle)
        wanted = np.minimum(whole * low[:, None], widest)
        level = self._widened(self._floor(wanted), wanted, most, budget)
        repaired = x.copy()
        repaired[chosen] = level
        return repaired

    def _widened(self, level: Floats, wanted: Floats, most: Floats, budget: Budget) -> Floats:
        """Return points with single steps up, those that lack most first, as a budget permits."""
        rows, columns = np.arange(len(level)), np.arange(level.shape[1])
        while True:
            before = level
            loss = wanted - self._table[columns, level.astype(np.int64)]
            for column in np.argsort(-loss, axis=1, kind="stable").T:
                trial = level.copy()
                trial[rows, column] = np.minimum(level[rows, column] + 1, most[rows, column])
                fits = budget.within(self.counts(trial))
                level = np.where(fits[:, None], trial, level)
            if (level == before).all():
                return level

    def _floor(self, wanted: Floats) -> Floats:
        """Return (n, d) the largest levels of at most `wanted` channels, or the first ones."""
        below = (self._table <= wanted[:, :, None] + 1e-9).sum(axis=2) - 1
        found: Floats = np.maximum(below, 0).astype(float)
        return found
