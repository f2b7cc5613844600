"""Two plans in a row as one: a pruned network pruned again, told for the original."""

import math
from collections.abc import Mapping

from swarmopt_pruning.errors import PlanMismatch
from swarmopt_pruning.fingerprint import differences
from swarmopt_pruning.plan import Cut, PruningPlan

Key = tuple[str, int]


def composed(first: PruningPlan, second: PruningPlan) -> PruningPlan:
    """Return the plan that does what `first` does to a model, and `second` to its result.

    Args:
        first: for the original.
        second: for the network that `first` makes.

    Raises:
        PlanMismatch: `second` was made for another network.
    """
    why = differences(second.shapes, first.shapes_after)
    if why:
        raise PlanMismatch(
            f"the second plan was not made for the network that the first one makes: {why}. Trace "
            f"the pruned network, first.apply(model), for the second plan."
        )
    kept, widths = dict(first.kept), dict(first.widths)
    for name, indices in second.kept.items():
        if name not in kept:  # frozen in the original, and free in the smaller network
            kept[name], widths[name] = indices, second.widths[name]
        elif len(kept[name]) == second.widths[name]:
            kept[name] = _chosen(kept[name], indices)
        else:
            raise PlanMismatch(
                f"group {name!r} has {len(kept[name])} channels after the first plan and "
                f"{second.widths[name]} in the second one; compose plans of the same network only"
            )
    return PruningPlan(
        model=first.model,
        torch_version=second.torch_version,
        shapes=first.shapes,
        widths=widths,
        kept=kept,
        cuts=_cuts(_by_place(first), _by_place(second)),
    )


def _cuts(first: Mapping[Key, Cut], second: Mapping[Key, Cut]) -> tuple[Cut, ...]:
    """Return the cuts of both: those that meet in one dimension of a tensor become one."""
    cuts = []
    for key in dict.fromkeys([*first, *second]):
        one, other = first.get(key), second.get(key)
        if one is None or other is None:
            cuts.append(first[key] if other is None else second[key])
        else:
            blocks = math.lcm(one.blocks, other.blocks)
            kept = _chosen(_in_blocks(one, blocks), _in_blocks(other, blocks))
            masked = one.masked or other.masked
            cuts.append(Cut(one.tensor, one.dim, one.size, kept, masked, blocks))
    return tuple(cuts)


def _by_place(plan: PruningPlan) -> dict[Key, Cut]:
    return {(cut.tensor, cut.dim): cut for cut in plan.cuts}


def _in_blocks(cut: Cut, blocks: int) -> tuple[int, ...]:
    """Return the kept indices counted through so many blocks of dimension 0."""
    each = len(cut.kept) // cut.blocks
    rows = [cut.kept[i : i + each] for i in range(0, len(cut.kept), each)]
    return tuple(
        block * cut.size + index % cut.size
        for block in range(blocks)
        for index in rows[block * cut.blocks // blocks]
    )


def _chosen(kept: tuple[int, ...], indices: tuple[int, ...]) -> tuple[int, ...]:
    """Return which of the original indices are left when `indices` of `kept` stay."""
    return tuple(kept[index] for index in indices)
