"""From labels to groups: channels that are cut together, and groups of them that are alike.

A *unit* is a set of labels that share one fate: usually one channel in all the tensors it touches,
a block of channels where a grouped convolution or a shuffle ties several. Units that touch the same
tensors equally often form a group; a group is what a search decides about by one number.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from swarmopt_pruning.balance import settle
from swarmopt_pruning.trace import Role, Walk

WHOLE = "it can only be cut as a whole"
"""The reason where all channels hang together."""

Ints = NDArray[np.int64]
Key = tuple[str, int]


@dataclass(frozen=True)
class Place:
    """One dimension of a parameter or buffer that carries channels of a group.

    Args:
        tensor: name of the parameter or buffer.
        dim: the dimension.
        role: what it does with the channels.
    """

    tensor: str
    dim: int
    role: Role


@dataclass(frozen=True)
class Group:
    """Channels that are alike: which of them go is free, how many go is one number.

    Args:
        name: the layer whose output channels they are, for a residual stream the first one.
        width: number of its channels.
        block: channels that are cut together; counts come in multiples of it.
        where: everything that gets smaller with the group.
    """

    name: str
    width: int
    block: int
    where: tuple[Place, ...]

    @property
    def n_units(self) -> int:
        """Number of decisions: channels, or blocks of channels."""
        return self.width // self.block


@dataclass(frozen=True)
class Frozen:
    """Channels that cannot be cut.

    Args:
        name: the layer whose output channels they are.
        width: number of these channels.
        reason: why they stay.
        where: everything else that stays as wide with them.
    """

    name: str
    width: int
    reason: str
    where: tuple[Place, ...] = ()


@dataclass(frozen=True, eq=False)
class Structure:
    """Groups, and where their units are.

    Args:
        groups: what can be cut.
        frozen: what cannot, with reasons.
        channel_units: for each group (width,) the unit of each of its channels, from 0.
        starts: (g + 1,) number of the first unit of each group over all groups, and their total.
        units: for each tensor and dimension (blocks * size,) the number of the unit over all
            groups; the total for an index that always stays.
        blocks: the same keys with the number of blocks of dimension 0 that have channels of their
            own along the dimension.
        places: the same keys with their role.
        roots: for each group the labels its units stand for.
    """

    groups: tuple[Group, ...]
    frozen: tuple[Frozen, ...]
    channel_units: tuple[Ints, ...]
    starts: Ints
    units: Mapping[Key, Ints]
    blocks: Mapping[Key, int]
    places: Mapping[Key, Place]
    roots: tuple[Sequence[int], ...]

    def form(self, tensor: str, dim: int) -> Ints:
        """Return the size of a bound dimension as a linear form of (1, kept units of each group).

        Args:
            tensor: name of a parameter or buffer.
            dim: one of its dimensions that carries channels.

        Returns:
            (g + 1,) coefficients, the constant first.
        """
        per_unit = np.bincount(self.units[tensor, dim], minlength=int(self.starts[-1]) + 1)
        # Every unit of a group occurs equally often, so its first one speaks for all.
        whole = np.concatenate([per_unit[-1:], per_unit[self.starts[:-1]]])
        return whole // self.blocks[tensor, dim]  # balanced, so nothing remains


def assemble(walk: Walk) -> Structure:
    """Form groups out of the labels of a walk."""
    settle(walk.labels, _occurrences(_roots(walk)))
    roots = _roots(walk)
    places = {key: Place(*key, binding.role) for key, binding in walk.bindings.items()}
    names = _Names(places)
    groups: list[Group] = []
    frozen: list[Frozen] = []
    free_roots: list[list[int]] = []
    channel_units: list[Ints] = []
    for signature, members in _by_signature(roots).items():
        maker = names.maker(signature)
        block = signature.count(maker)
        where = tuple(places[key] for key in dict.fromkeys(signature))
        for reason, n_units in _reasons(walk, members).items():
            frozen.append(Frozen(names.unique(maker), block * n_units, reason, where))
        free = [root for root in members if walk.labels.reason(root) is None]
        if len(free) == 1:
            frozen.append(Frozen(names.unique(maker), block, WHOLE, where))
        elif free:
            groups.append(Group(names.unique(maker), block * len(free), block, where))
            unit_of = {root: unit for unit, root in enumerate(free)}
            units = [unit_of[root] for root in roots[maker] if root in unit_of]
            channel_units.append(np.array(units, dtype=np.int64))
            free_roots.append(free)
    frozen += _unbound(walk, names)
    number = {root: n for n, root in enumerate(itertools.chain(*free_roots))}
    starts = np.cumsum([0, *(len(free) for free in free_roots)], dtype=np.int64)
    return Structure(
        groups=tuple(groups),
        frozen=tuple(frozen),
        channel_units=tuple(channel_units),
        starts=starts,
        units={
            key: np.array([number.get(root, len(number)) for root in members], dtype=np.int64)
            for key, members in roots.items()
        },
        blocks={key: binding.blocks for key, binding in walk.bindings.items()},
        places=places,
        roots=tuple(free_roots),
    )


def freeze_group(walk: Walk, structure: Structure, name: str, reason: str) -> None:
    """Freeze the labels of a group; `assemble` then leaves it out."""
    names = [group.name for group in structure.groups]
    walk.labels.freeze(torch.tensor(structure.roots[names.index(name)]), reason)


def _roots(walk: Walk) -> dict[Key, list[int]]:
    """Return the root of every label of every binding."""
    return {
        key: walk.labels.roots(binding.labels).tolist() for key, binding in walk.bindings.items()
    }


def _occurrences(roots: Mapping[Key, list[int]]) -> dict[int, list[Key]]:
    """Return the places that every set of labels occurs in, as often as it occurs there."""
    occurs: dict[int, list[Key]] = defaultdict(list)
    for key, members in roots.items():
        for root in members:
            if root:
                occurs[root].append(key)
    return occurs


def _by_signature(roots: Mapping[Key, list[int]]) -> dict[tuple[Key, ...], list[int]]:
    """Return the sets of labels by the places they occur in, as often as they occur there."""
    occurs = _occurrences(roots)
    found: dict[tuple[Key, ...], list[int]] = defaultdict(list)
    for root in sorted(occurs):
        found[tuple(occurs[root])].append(root)
    return found


def _reasons(walk: Walk, members: Sequence[int]) -> dict[str, int]:
    """Return how many of the sets are frozen for each reason."""
    count: dict[str, int] = {}
    for root in members:
        reason = walk.labels.reason(root)
        if reason is not None:
            count[reason] = count.get(reason, 0) + 1
    return count


def unread_weights(walk: Walk) -> list[str]:
    """Return the weights that no operator of the graph reads."""
    return [name for name in _unfollowed(walk) if name not in walk.rigid]


def _unfollowed(walk: Walk) -> list[str]:
    """Return the weights that no rule followed: read by another operator, or not at all."""
    bound = {name for name, _ in walk.bindings}
    return [
        name
        for name, tensor in walk.tensors.items()
        if isinstance(tensor, nn.Parameter) and tensor.dim() > 1 and name not in bound
    ]


def _unbound(walk: Walk, names: "_Names") -> list[Frozen]:
    """Return the weights that no rule followed, with the reason."""
    unread = "the model does not use it on this example"
    return [
        Frozen(names.unique((name, 0)), walk.tensors[name].shape[0], walk.rigid.get(name, unread))
        for name in _unfollowed(walk)
    ]


class _Names:
    """Names of groups: the maker's module, numbered where one layer feeds several groups."""

    def __init__(self, places: Mapping[Key, Place]) -> None:
        self._places = places
        self._used: dict[str, int] = {}

    def maker(self, signature: tuple[Key, ...]) -> Key:
        """Return the first place in graph order that makes the channels."""
        filters = [key for key in signature if self._places[key].role is Role.FILTER]
        return (filters or list(signature))[0]

    def unique(self, maker: Key) -> str:
        """Return the name of the module that owns the tensor, with a number from the second on."""
        path, _, leaf = maker[0].rpartition(".")
        name = path if leaf == "weight" and path else maker[0]
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else f"{name}#{self._used[name]}"
