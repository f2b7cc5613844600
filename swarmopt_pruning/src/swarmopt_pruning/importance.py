"""Which channels of a group stay: a score for each, higher is more important.

A score is taken over everything that makes the channels of the tied group, such as all convolutions
that write into one residual stream, and not over the first of them alone. The L1 criterion is that
of Li et al., "Pruning Filters for Efficient ConvNets", 2017; the scale criterion that of Liu et
al., "Learning Efficient Convolutional Networks through Network Slimming", 2017; the Taylor
criterion that of Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019, eq. 8.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.trace import Role

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Member:
    """What one parameter holds for the channels of a group.

    Args:
        role: what the parameter does with them.
        rows: (k, elements) its entries, one row per channel.
        unit: (k,) which unit of the group (a block of channels cut together) each row belongs to.
        slopes: (k, elements) the gradient of a loss by the rows, where one was taken.
    """

    role: Role
    rows: Tensor
    unit: Tensor
    slopes: Tensor | None = None


Importance = Callable[[Sequence[Member], int, np.random.Generator], Floats]
"""Scores of the `n` units of a group: (members, n, rng) -> (n,)."""


def _l1(members: Sequence[Member], n: int, _: np.random.Generator) -> Floats:
    return _summed(members, n, Role.FILTER, lambda rows: rows.abs().sum(1))


def _l2(members: Sequence[Member], n: int, _: np.random.Generator) -> Floats:
    return np.sqrt(_summed(members, n, Role.FILTER, lambda rows: rows.square().sum(1)))


def _bn_scale(members: Sequence[Member], n: int, _: np.random.Generator) -> Floats:
    return _summed(members, n, Role.SCALE, lambda rows: rows.abs().sum(1))


def _taylor(members: Sequence[Member], n: int, _: np.random.Generator) -> Floats:
    """Return the squared change of the loss, to first order, when a unit becomes zero."""
    total = torch.zeros(n, dtype=torch.float64)
    for member in members:
        if member.slopes is not None:
            change = (member.rows.double() * member.slopes.double()).sum(1)
            total.index_add_(0, member.unit, change)
    scores: Floats = total.square().numpy()
    return scores


def _random(_: Sequence[Member], n: int, rng: np.random.Generator) -> Floats:
    return rng.random(n)


IMPORTANCES: dict[str, Importance] = {
    "l1": _l1,
    "l2": _l2,
    "bn-scale": _bn_scale,
    "taylor": _taylor,
    "random": _random,
}
"""Importance by name."""


def unit_scores(
    importance: str, group: str, members: Sequence[Member], n: int, seed: int = 0
) -> Floats:
    """Score the units of one group.

    Args:
        importance: "l1" and "l2" (norm of all filters that make the channel), "bn-scale" (sum of
            the absolute scales of its normalisations), "taylor" (how much the loss changes to first
            order without the channel, squared) or "random".
        group: name of the group; with `seed` it decides what "random" draws.
        members: what the parameters hold for its channels.
        n: number of units.
        seed: seed of "random"; the others ignore it.

    Returns:
        (n,) scores, higher is more important.

    Raises:
        UnknownName: There is no importance of that name.
        PruningError: "bn-scale" for channels without a scale, "taylor" without gradients.
    """
    if importance not in IMPORTANCES:
        raise UnknownName("importance", importance, IMPORTANCES)
    if importance == "bn-scale" and all(member.role is not Role.SCALE for member in members):
        raise PruningError(
            f"group {group!r} has no normalisation with a learnable scale, so importance "
            f"'bn-scale' says nothing about it; use 'l1' or pass scores of your own"
        )
    if importance == "taylor" and all(member.slopes is None for member in members):
        raise PruningError(
            f"importance 'taylor' needs gradients of a loss on some batches, and there are none "
            f"for group {group!r}; make scores with taylor_scores(graph, model, batches), and pass "
            f"them: graph.plan(choice, importance=scores)"
        )
    rng = np.random.default_rng([seed, zlib.crc32(group.encode())])
    return IMPORTANCES[importance](members, n, rng)


def keep_indices(scores: Floats, count: int) -> NDArray[np.int64]:
    """Return the indices of the highest scores, ascending; ties go to the lower index.

    Args:
        scores: (n,) higher is more important; NaN ranks last.
        count: how many to keep, 1..n.

    Returns:
        (count,) indices.

    Raises:
        ValueError: `count` is outside 1..n.
    """
    if not 1 <= count <= len(scores):
        raise ValueError(f"cannot keep {count} of {len(scores)}; at least one and at most all")
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    return np.sort(order[:count])


def _summed(
    members: Sequence[Member], n: int, role: Role, reduce: Callable[[Tensor], Tensor]
) -> Floats:
    """Return the sum over all members with `role` of what `reduce` gives for each row: (n,)."""
    total = torch.zeros(n, dtype=torch.float64)
    for member in members:
        if member.role is role:
            total.index_add_(0, member.unit, reduce(member.rows.double()))
    scores: Floats = total.numpy()
    return scores
