"""How tensors become smaller, and which attributes of torch's own layers follow from that."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd


def attributes_after(module: nn.Module, tensor: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the attributes of a module that change when one of its tensors gets a new shape.

    Args:
        module: the module as it is before.
        tensor: name of the tensor inside the module, such as "weight".
        shape: its new shape.

    Returns:
        new values by attribute; empty for modules that keep no sizes.
    """
    if tensor == "weight":
        for kind, attributes in _BY_WEIGHT:
            if isinstance(module, kind):
                return attributes(module, shape)
    if isinstance(module, _NormBase):
        return {"num_features": shape[0]}
    return {}


def _convolution(module: _ConvNd, shape: tuple[int, ...]) -> dict[str, Any]:
    groups, n_in, n_out = module.groups, module.in_channels, module.out_channels
    transposed = isinstance(module, _ConvTransposeNd)
    if groups > 1 and groups in (n_in, n_out):  # one group for each channel: whole groups go
        per_group = (n_in if transposed else n_out) // groups
        groups = shape[0] // per_group
    if transposed:
        return {"in_channels": shape[0], "out_channels": shape[1] * groups, "groups": groups}
    return {"in_channels": shape[1] * groups, "out_channels": shape[0], "groups": groups}


def _group_norm(module: nn.GroupNorm, shape: tuple[int, ...]) -> dict[str, Any]:
    left = module.num_groups * shape[0] // module.num_channels  # whole groups of channels go
    return {"num_groups": left, "num_channels": shape[0]}


_BY_WEIGHT: tuple[tuple[type[nn.Module], Callable[[Any, tuple[int, ...]], dict[str, Any]]], ...] = (
    (_ConvNd, _convolution),
    (nn.Linear, lambda _, shape: {"out_features": shape[0], "in_features": shape[1]}),
    (nn.GroupNorm, _group_norm),
    (nn.PReLU, lambda _, shape: {"num_parameters": shape[0]}),
    (nn.Embedding, lambda _, shape: {"embedding_dim": shape[1]}),
)
"""What follows from the shape of a module's weight."""


def selected(tensor: Tensor, dim: int, indices: Tensor, blocks: int = 1) -> Tensor:
    """Return a tensor with some indices of one dimension.

    Args:
        tensor: any tensor.
        dim: the dimension.
        indices: ascending; with blocks, equally many in each (blocks * size of the dimension).
        blocks: blocks of dimension 0 that have indices of their own along `dim`.
    """
    if blocks == 1:
        return tensor.index_select(dim, indices)
    starts = tensor.shape[dim] * torch.arange(blocks, device=indices.device)
    parts = zip(tensor.chunk(blocks), indices.view(blocks, -1) - starts[:, None], strict=True)
    return torch.cat([part.index_select(dim, row) for part, row in parts])


def zeroed(tensor: Tensor, dim: int, indices: Tensor, blocks: int = 1) -> Tensor:
    """Return a copy of a tensor that is zero at some indices of one dimension, as in `selected`."""
    if blocks == 1:
        return tensor.index_fill(dim, indices, 0)
    size = tensor.shape[dim]
    parts = tensor.chunk(blocks)
    return torch.cat(
        [
            part.index_fill(dim, indices[indices // size == block] - block * size, 0)
            for block, part in enumerate(parts)
        ]
    )


def channel_rows(tensor: Tensor, dim: int, blocks: int = 1) -> Tensor:
    """Return the entries of each channel along `dim` as rows: (blocks * size, entries)."""
    if blocks == 1:
        return tensor.movedim(dim, 0).flatten(1) if tensor.dim() > 1 else tensor[:, None]
    parts = tensor.view(blocks, -1, *tensor.shape[1:]).movedim(dim + 1, 1)
    return parts.flatten(0, 1).flatten(1)
