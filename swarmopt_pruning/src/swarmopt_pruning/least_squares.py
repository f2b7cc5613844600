"""Least squares with a ridge that draws towards given weights, and grows where it must."""

from typing import NamedTuple

import torch
from torch import Tensor

RIDGE = 1e-3  # of the mean variance of the inputs
TRIES = 12
BLOCK = 96  # columns of a matrix that are computed together


class Solution(NamedTuple):
    """What came of normal equations.

    Attributes:
        weights: (groups, inputs, outputs); of groups without a solution they mean nothing.
        none: (groups,) whether there is no solution: the inputs never change, or are not finite.
        grew: whether the ridge of a group had to grow.
    """

    weights: Tensor
    none: Tensor
    grew: bool


def solved(gram: Tensor, side: Tensor, prior: Tensor | None, n_inputs: int) -> Solution:
    """Solve (gram + ridge I) weights = side + ridge prior.

    Args:
        gram: (groups, n, n) symmetric, of which the lower triangle is read; of double precision and
            on the processor, like the others.
        side: (groups, n, outputs).
        prior: (groups, n, outputs), None: nothing.
        n_inputs: that the trace of `gram` is the sum of the squares of.
    """
    ridge = RIDGE * gram.diagonal(dim1=1, dim2=2).sum(dim=1) / n_inputs
    none = ~(ridge > 0) | ~ridge.isfinite()
    ridge = torch.where(none, 1.0, ridge)[:, None, None]
    grew = False
    for _ in range(TRIES):
        factor, failed = torch.linalg.cholesky_ex(
            gram + ridge * torch.eye(gram.shape[1], dtype=gram.dtype)
        )
        bad = (failed > 0) & ~none
        if not bool(bad.any()):
            break
        grew = True
        ridge = torch.where(bad[:, None, None], ridge * 10, ridge)
    right = side if prior is None else side + ridge * prior
    return Solution(torch.cholesky_solve(right, factor), none | bad, grew)


def nearest(rows: Tensor, goal: Tensor, prior: Tensor) -> Tensor:
    """Return the (groups, outputs, inputs) weights whose outputs are nearest to a goal.

    Args:
        rows: (groups, n, inputs).
        goal: (groups, n, outputs).
        prior: (groups, outputs, inputs) what they are drawn towards, and what they are where the
            rows say nothing.
    """
    _, n, n_inputs = rows.shape
    turned, before = rows.transpose(1, 2), prior.transpose(1, 2)
    if n < n_inputs:  # the change is a sum of rows: as many unknowns as there are rows
        found = solved(
            _exact(lower_gram(turned)), _exact(goal - torch.bmm(rows, before)), None, n_inputs
        )
        weights = before + torch.bmm(turned, found.weights.to(rows))
    else:
        side = torch.bmm(turned, goal)
        found = solved(_exact(lower_gram(rows)), _exact(side), _exact(before), n_inputs)
        weights = found.weights.to(rows)
    none = found.none.to(rows.device)[:, None, None]
    return torch.where(none, before, weights).transpose(1, 2)


def lower_gram(rows: Tensor) -> Tensor:
    """Return (groups, inputs, inputs) sums of products of (groups, n, inputs) rows.

    Of what lies above the diagonal, most is left out.
    """
    groups, _, n_inputs = rows.shape
    gram = rows.new_zeros(groups, n_inputs, n_inputs)
    for first in range(0, n_inputs, BLOCK):
        block = rows[:, :, first : first + BLOCK]
        below = torch.bmm(rows[:, :, first:].transpose(1, 2), block)
        gram[:, first:, first : first + BLOCK] = below
    return gram


def _exact(matrices: Tensor) -> Tensor:
    """Return matrices in double precision, which not every device knows."""
    return matrices.cpu().double()
