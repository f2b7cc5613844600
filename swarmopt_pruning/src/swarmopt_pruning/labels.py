"""Integer labels of channels, and which of them have to be cut together.

Every output channel of a layer gets a label. An activation is represented by a tensor of labels of
its own shape, mostly an expanded view, so that data movement can be run on it. Labels that must
share one fate are united (disjoint sets: Tarjan, "Efficiency of a Good But Not Linear Set Union
Algorithm", 1975). Label 0 marks what was made by no layer: inputs, padding, constants.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Balance:
    """Blocks of channels that have to stay equally wide, whatever is cut in each of them.

    Args:
        blocks: (blocks, channels of each) labels.
        reason: why channels stay that no equal cut can reach.
    """

    blocks: Tensor
    reason: str


class Labels:
    """Disjoint sets of labels; a set may be frozen for a reason, and then none of it can be cut.

    Attributes:
        balances: blocks that have to stay equally wide.
    """

    def __init__(self) -> None:
        self.balances: list[Balance] = []
        self._parent = [0]
        self._reason: dict[int, str] = {}

    def new(self, n: int) -> Tensor:
        """Return `n` new labels, each a set of its own: (n,)."""
        first = len(self._parent)
        self._parent.extend(range(first, first + n))
        return torch.arange(first, first + n)

    def root(self, label: int) -> int:
        """Return the smallest label of the set that holds `label`; 0 only for 0."""
        parent = self._parent
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    def reason(self, label: int) -> str | None:
        """Return why the set of `label` is frozen, None if it is free."""
        return self._reason.get(self.root(label))

    def freeze(self, labels: Tensor, reason: str) -> None:
        """Freeze the sets of all `labels` (any shape); the first reason given to a set stays."""
        for label in sorted(set(shrink(labels).flatten().tolist())):
            if label:
                self._reason.setdefault(self.root(label), reason)

    def unite(self, first: Tensor, second: Tensor, reason: str) -> None:
        """Unite two label tensors of one shape element by element.

        What meets label 0 is frozen for `reason` instead: it lines up with something that stays.
        """
        pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
        for one, other in sorted(set(pairs)):
            low, high = sorted((self.root(one), self.root(other)))
            if low == high:
                continue
            if low == 0:
                self._reason.setdefault(high, reason)
                continue
            self._parent[high] = low
            if high in self._reason:
                self._reason.setdefault(low, self._reason.pop(high))

    def unite_all(self, parts: list[Tensor], reason: str) -> None:
        """Unite equally shaped label tensors element by element: equal positions share one fate."""
        for part in parts[1:]:
            self.unite(*shrink_both(parts[0], part), reason)

    def balance(self, blocks: Tensor, reason: str) -> None:
        """Note that blocks (blocks, channels of each) have to stay equally wide."""
        self.balances.append(Balance(blocks, reason))

    def roots(self, labels: Tensor) -> Tensor:
        """Return the labels with the smallest label of its set in the place of each."""
        few = shrink(labels)
        known = {label: self.root(label) for label in set(few.flatten().tolist())}
        found = torch.tensor([known[label] for label in few.flatten().tolist()], dtype=torch.long)
        return found.view(few.shape).expand(labels.shape)

    def along(self, labels: Tensor, dim: int, reason: str) -> Tensor:
        """Return one label per index of `dim`: (size,); what differs at one index is united."""
        dim %= labels.dim()
        rows = shrink(labels, keep=dim).movedim(dim, 0).flatten(1)
        if rows.shape[1] > 1:
            self.unite(rows[:, :1].expand_as(rows), rows, reason)
        return rows[:, 0].contiguous()


def constant(shape: torch.Size) -> Tensor:
    """Return label 0 in the given shape."""
    return torch.zeros((), dtype=torch.long).expand(shape)


def spread(labels: Tensor, dim: int, shape: torch.Size) -> Tensor:
    """Return the labels (size,) of `dim` as a view of the whole `shape`."""
    ones = [1] * len(shape)
    ones[dim] = -1
    return labels.view(ones).expand(shape)


def varying(labels: Tensor) -> list[int]:
    """Return the dimensions along which the labels are not all equal."""
    return [
        dim
        for dim in range(labels.dim())
        if labels.shape[dim] > 1
        and labels.stride(dim) != 0
        and bool((labels != labels.narrow(dim, 0, 1)).any())
    ]


def shrink(labels: Tensor, keep: int | None = None) -> Tensor:
    """Return the labels with every dimension of size 1 along which they do not vary."""
    wanted = {*varying(labels), keep}
    for dim in range(labels.dim()):
        if dim not in wanted:
            labels = labels.narrow(dim, 0, 1)
    return labels


def shrink_both(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return two label tensors of one shape without the dimensions along which neither varies."""
    wanted = {*varying(first), *varying(second)}
    for dim in range(first.dim()):
        if dim not in wanted:
            first, second = first.narrow(dim, 0, 1), second.narrow(dim, 0, 1)
    return first, second
