"""Budgets on multiply-adds and parameters: hard, together, as shares or absolute numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swarmopt_pruning.errors import PruningError, is_number
from swarmopt_pruning.graph import ChannelGraph

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Limit:
    """What candidates may cost at most.

    Args:
        setting: that a user sets it by, such as "target_macs".
        unit: what is counted, such as "MACs".
        cost: of (n, groups) counts: (n,) exact costs, not falling where a count grows.
        most: what may not be exceeded.
        whole: cost of the whole network.
    """

    setting: str
    unit: str
    cost: Callable[[Ints], Ints]
    most: int
    whole: int


@dataclass(frozen=True, eq=False)
class Budget:
    """One or several limits; a candidate is within the budget when it meets them all.

    Args:
        limits: none of them may be exceeded.
    """

    limits: tuple[Limit, ...]

    @classmethod
    def of(
        cls, graph: ChannelGraph, *, macs: float | None = None, params: float | None = None
    ) -> "Budget":
        """Return a budget of a network.

        Args:
            graph: of the network.
            macs: multiply-adds of one image: a share of the network's up to 1, or a number above 1;
                None for no limit.
            params: entries of all parameters, in the same way.

        Raises:
            PruningError: A limit is not a number above 0.
        """
        limits = []
        for setting, unit, cost, target in (
            ("target_macs", "MACs", graph.macs, macs),
            ("target_params", "parameters", graph.params, params),
        ):
            if target is not None:
                whole = int(cost(graph.widths[None])[0])
                most = _absolute(setting, target, f"{whole:,} {unit}", whole)
                limits.append(Limit(setting, unit, cost, most, whole))
        return cls(tuple(limits))

    def within(self, counts: Ints) -> Bools:
        """Return whether each candidate meets all limits.

        Args:
            counts: (n, groups) channels kept of each group.
        """
        inside = np.ones(len(counts), dtype=np.bool_)
        for limit in self.limits:
            inside &= limit.cost(counts) <= limit.most
        return inside

    def check_reachable(self, least: Ints) -> None:
        """Refuse a budget that even the smallest candidate exceeds.

        Args:
            least: (groups,) counts of that candidate.

        Raises:
            PruningError: It does; what the smallest candidate reaches is said for each limit.
        """
        says = []
        for limit in self.limits:
            reached = int(limit.cost(least[None])[0])
            if reached > limit.most:
                says.append(
                    f"{limit.setting}: even the smallest candidate needs {reached:,} "
                    f"{limit.unit} ({_share(reached, limit.whole)} of the original), more than "
                    f"{limit.most:,}"
                )
        if says:
            raise PruningError(
                f"{'; '.join(says)}. Raise the target to what the smallest candidate reaches, "
                f"lower `minimum`, or exclude fewer groups"
            )


def _share(part: int, whole: int) -> str:
    """Return a share, rounded up, so that it can be given back as a target."""
    return f"{math.ceil(1e4 * part / whole) / 1e4:.4f}" if whole else "1"


def _absolute(setting: str, target: object, costs: str, whole: int) -> int:
    """Return a target as a number: up to 1 it is a share."""
    if not is_number(target) or not 0 < target < math.inf:
        raise PruningError(
            f"{setting}: expected more than 0, and finite: a share of the original's {costs} up to "
            f"1, or a number above 1; got {target!r}"
        )
    return int(target * whole) if target <= 1 else int(target)
