"""Equal counts in blocks: which channels of different blocks are cut together.

A grouped convolution needs as many channels in each block as in any other, and a call that halves
the channels cuts them in the middle. Which of a block go does not matter, only how many. So the
smallest sets of channels that take equally many from every block become one unit each: a small
integer program, solved again for what is left until nothing fits (Huangfu and Hall, "Parallelizing
the dual revised simplex method", 2018, is the solver behind scipy). Where the blocks are aligned
this is one channel from the same place of every block.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from swarmopt_pruning.labels import Balance, Labels

Ints = NDArray[np.int64]
Row = tuple[int, int]
"""Number of a balance, and of a block in it."""


def settle(labels: Labels, places: Mapping[int, Sequence[object]]) -> None:
    """Unite labels to units that leave all balanced blocks equally wide; freeze what is left.

    Args:
        labels: changed; its balances are done with afterwards.
        places: for each root everywhere it occurs; only units of the same places are alike.
    """
    weight: dict[int, dict[Row, int]] = defaultdict(lambda: defaultdict(int))
    reasons: dict[int, str] = {}
    for number, balance in enumerate(labels.balances):
        for root, row in _free(labels, number, balance):
            weight[root][row] += 1
            reasons.setdefault(root, balance.reason)
    lengths = [len(balance.blocks) for balance in labels.balances]
    uneven = {
        root: {row: n for row, n in rows.items() if not _is_even(rows, row[0], lengths)}
        for root, rows in weight.items()
    }
    for component in _components({root: rows for root, rows in uneven.items() if rows}):
        _settle_one(labels, component, places, lengths, reasons)
    labels.balances.clear()


def _free(labels: Labels, number: int, balance: Balance) -> Iterator[tuple[int, Row]]:
    """Yield the root and the block of each channel of a balance that may still be cut."""
    for block, members in enumerate(labels.roots(balance.blocks).tolist()):
        for root in members:
            if root and labels.reason(root) is None:
                yield root, (number, block)


def _is_even(rows: Mapping[Row, int], number: int, lengths: Sequence[int]) -> bool:
    """Return whether one unit takes equally many from every block of a balance by itself."""
    return len({rows.get((number, block), 0) for block in range(lengths[number])}) == 1


def _components(uneven: Mapping[int, Mapping[Row, int]]) -> list[dict[int, Mapping[Row, int]]]:
    """Return the units in sets that share no balance with each other."""
    sets = Labels()
    sets.new(1 + max((row[0] for rows in uneven.values() for row in rows), default=0))
    for rows in uneven.values():
        numbers = torch.tensor([1 + number for number, _ in rows])
        sets.unite(numbers[:1].expand_as(numbers), numbers, "")
    found: dict[int, dict[int, Mapping[Row, int]]] = defaultdict(dict)
    for root, rows in sorted(uneven.items()):
        found[sets.root(1 + next(iter(rows))[0])][root] = rows
    return list(found.values())


def _settle_one(
    labels: Labels,
    component: Mapping[int, Mapping[Row, int]],
    places: Mapping[int, Sequence[object]],
    lengths: Sequence[int],
    reasons: Mapping[int, str],
) -> None:
    """Unite the units of one component, smallest sets first."""
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for root, rows in component.items():
        alike[tuple(sorted(rows.items())), tuple(places.get(root, ()))].append(root)
    kinds = list(alike.values())
    excess = _excess([component[kind[0]] for kind in kinds], lengths)
    while (take := _smallest(excess, np.array([len(kind) for kind in kinds]))) is not None:
        n_sets = min(len(kind) // n for kind, n in zip(kinds, take, strict=True) if n)
        for _ in range(n_sets):
            chosen = [kind.pop(0) for kind, n in zip(kinds, take, strict=True) for _ in range(n)]
            one = torch.tensor(chosen)
            labels.unite(one[:1].expand_as(one), one, "")
    for root in itertools.chain(*kinds):
        labels.freeze(torch.tensor([root]), reasons[root])


def _excess(kinds: Sequence[Mapping[Row, int]], lengths: Sequence[int]) -> Ints:
    """Return what a unit of each kind takes from each block more than from the first: (rows, k)."""
    numbers = sorted({number for rows in kinds for number, _ in rows})
    return np.array(
        [
            [rows.get((number, block), 0) - rows.get((number, 0), 0) for rows in kinds]
            for number in numbers
            for block in range(1, lengths[number])
        ],
        dtype=np.int64,
    )


def _smallest(excess: Ints, available: Ints) -> list[int] | None:
    """Return how many units of each kind make the smallest set that takes equally from all blocks.

    None where there is no such set. Of equally small sets the one with the earlier kinds is taken.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    if not available.any():
        return None
    n = len(available)
    later = np.arange(n) / (n * (n + 1) * max(1, int(available.max())))
    found = milp(
        1.0 + later,
        integrality=np.ones(n),
        bounds=Bounds(0, available),
        constraints=[LinearConstraint(excess, 0, 0), LinearConstraint(np.ones(n), 1, np.inf)],
        options={"mip_rel_gap": 0},
    )
    return None if found.x is None else [int(n) for n in np.rint(found.x)]
