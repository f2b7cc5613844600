"""Whether two networks answer the same: every number is compared for itself.

A tolerance that is a share of the largest output would let one box coordinate of 10,000 hide any
error of the scores beside it. So each number may differ by a share of its own size, and by a much
smaller share of what is usual around it, which rounding needs where terms cancel. Where that is
exceeded the question is put again in double precision, where rounding is out of the question.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

TOLERANCE = 1e-4
"""Largest difference of a number, as a share of its own size, that counts as rounding."""

NOISE = 1e-5
"""The same as a share of the sizes around it."""

NOISE_OF_DOUBLES = 1e-9


def tensors(output: object) -> list[Tensor]:
    """Return the tensors in a model's output: nested, named, in registered classes."""
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def difference(
    found: Sequence[Tensor], expected: Sequence[Tensor], *, loose: bool = False
) -> str | None:
    """Return how a pruned network's outputs differ from its masked twin's; None if they do not.

    Args:
        found: of the pruned network.
        expected: of the twin.
        loose: let numbers differ by a share of the largest ones around them, and by what their
            type rounds off the usual one, for networks that cannot run in double precision. What is
            equal to the last bit does not count among these, such as the filling of a mask.
    """
    if [(x.shape, x.dtype) for x in found] != [(x.shape, x.dtype) for x in expected]:
        return "the shape of the output changes when it is cut"
    for one, other in zip(found, expected, strict=True):
        why = _difference(one, other, loose=loose)
        if why is not None:
            return why
    return None


def _difference(one: Tensor, other: Tensor, *, loose: bool) -> str | None:
    same = (one == other) | (one.isnan() & other.isnan())
    if same.all():
        return None
    if not (other.is_floating_point() or other.is_complex()):
        share = float((~same).float().mean())
        return f"{share:.2g} of the whole numbers in the output differ from the masked twin's"
    finite = one.isfinite() & other.isfinite()
    gap, size = (one - other).abs().masked_fill(~finite, torch.nan), other.abs()  # NaN exceeds all
    if loose:
        eps = torch.finfo(other.dtype).eps
        usual = _median(size.masked_fill(same | ~finite, torch.nan).reshape(1, -1))
        size = torch.maximum(size, _around(size, same, _largest))
        inside = gap <= max(TOLERANCE, 8 * eps) * size + 32 * eps * usual
    else:
        noise = NOISE_OF_DOUBLES if size.dtype == torch.float64 else NOISE
        inside = gap <= TOLERANCE * size
        if not (same | inside).all():
            usual = _around(size, same, _median)
            inside = gap <= TOLERANCE * size + noise * usual
            size = torch.maximum(size, usual)
    if (same | inside).all():
        return None
    worst = float((gap / size).masked_fill(same | inside, 0).nan_to_num(torch.inf).max())
    return f"the output differs by {worst:.2g} of its size from that of the masked twin"


def _around(size: Tensor, same: Tensor, typical: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what is typical beside each number, along the dimension where that is least."""
    known = size.masked_fill(same | ~size.isfinite(), torch.nan)
    if size.dim() < 2:
        return typical(known.reshape(1, -1)).expand_as(size)
    least: Any = None
    for dim in range(size.dim()):
        shape = [1] * size.dim()
        shape[dim] = -1
        found = typical(known.movedim(dim, 0).flatten(1)).view(shape)
        least = found if least is None else torch.fmin(least, found)
    return least.expand_as(size)  # type: ignore[no-any-return] # a tensor by now


def _median(rows: Tensor) -> Tensor:
    return rows.nanmedian(1).values


def _largest(rows: Tensor) -> Tensor:
    return rows.nan_to_num(0).amax(1)
