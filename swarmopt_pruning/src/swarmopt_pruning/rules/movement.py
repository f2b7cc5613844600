"""Operators that only move data: they run on the labels as they run on activations."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from swarmopt_pruning.labels import spread, varying
from swarmopt_pruning.rules.table import (
    Arguments,
    display,
    opaque,
    read_together,
    rule,
    shape_of,
)
from swarmopt_pruning.trace import Value, Walk


@rule(
    "permute transpose t movedim moveaxis swapaxes swapdims squeeze unsqueeze cat concat "
    "concatenate stack unbind repeat tile repeat_interleave flip rot90 diagonal pixel_shuffle "
    "pixel_unshuffle numpy_T mT adjoint"
)
def moved(walk: Walk, node: Node, _: Arguments) -> Value:
    """Run the operator itself on the labels."""
    if any(not isinstance(walk.value(source), Tensor) for source in node.all_input_nodes):
        return opaque(walk, node)
    args, kwargs = map_arg((node.args, node.kwargs), walk.value)
    target: Any = node.target
    if display(node).split(".")[1].endswith("_"):
        return opaque(walk, node, f"{display(node)} changes the shape of a tensor in place")
    result = target(*args, **kwargs)
    return list(result) if isinstance(result, list | tuple) else result


@rule("slice narrow")
def sliced(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Follow a block of the channels, such as their first half, or every n-th of them.

    The model's own code says again after pruning where it cuts; blocks stay equally wide, and
    verification tells whether it cuts at their borders. Other parts are frozen.
    """
    labels = _rooted(walk, node)
    if labels is None:
        return opaque(walk, node)
    result = moved(walk, node, arguments)
    dim = arguments["dim"] % labels.dim()
    size, step, start = labels.shape[dim], arguments.get("step", 1), arguments["start"] or 0
    n_left = result.shape[dim] if isinstance(result, Tensor) else 0
    if dim not in varying(labels) or n_left == size:
        return result
    start = start + size if start < 0 else start
    if step > 1 and size % step == 0 and n_left == size // step:
        runs = walk.labels.along(labels, dim, read_together(node)).view(-1, step)
        walk.labels.unite_all(list(runs.unbind(1)), _tied(node))
    elif step == 1 and n_left and size % n_left == 0 and start % n_left == 0:
        _balance(walk, node, labels, dim, size // n_left)
    else:
        walk.labels.freeze(labels, f"{display(node)} takes the channels apart at fixed indices")
    return result


@rule("select index_select roll")
def picked(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Freeze channels that are picked or turned round by number; beside them, just move."""
    labels = _rooted(walk, node)
    dims = arguments["dim"] if "dim" in arguments else arguments["dims"]
    over = [dims] if isinstance(dims, int) else list(dims)
    if labels is None or not over:
        return opaque(walk, node)
    if {dim % labels.dim() for dim in over} & set(varying(labels)):
        why = f"{display(node)} takes the channels apart at fixed indices"
        walk.labels.freeze(labels, why)
    return moved(walk, node, arguments)


@rule("chunk split split_with_sizes tensor_split hsplit vsplit unsafe_chunk unsafe_split")
def parted(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Keep parts of the channels equally wide, so that the same call cuts at their borders."""
    labels = _rooted(walk, node)
    if labels is None:
        return opaque(walk, node)
    parts = moved(walk, node, arguments)
    default = {"hsplit": 1}.get(display(node).split(".")[1], 0)
    dim = arguments.get("dim", default) % labels.dim()
    if dim in varying(labels) and isinstance(parts, list) and len(parts) > 1:
        if len({part.shape for part in parts}) > 1:
            return opaque(walk, node, f"{display(node)} makes unequal parts of the channels")
        _balance(walk, node, labels, dim, len(parts))
    return parts


@rule("view reshape flatten unflatten _unsafe_view")
def reshaped(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Reshape the labels; a split of the channels into blocks ties the blocks."""
    labels = _rooted(walk, node)
    if labels is None:
        return opaque(walk, node)
    result = labels.reshape(shape_of(node))
    asked = arguments.get("size", arguments.get("shape", arguments.get("sizes")))
    for dim in varying(labels):
        first, n_dims = _split_into(labels.shape, result.shape, dim)
        grows = _grows(node, asked, first, n_dims)
        for new in range(first, first + n_dims):
            if new != grows and n_dims > 1:
                walk.labels.unite_all(list(result.unbind(new)), _tied(node))
    return result


@rule("channel_shuffle native_channel_shuffle")
def shuffled(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Tie the blocks and interleave them (Zhang et al., "ShuffleNet", 2018, section 3.1)."""
    labels = _rooted(walk, node)
    if labels is None:
        return opaque(walk, node)
    blocks = walk.labels.along(labels, 1, read_together(node)).view(arguments["groups"], -1)
    walk.labels.unite_all(list(blocks), _tied(node))
    return spread(blocks.t().reshape(-1), 1, shape_of(node))


@rule("im2col")
def unfolded(walk: Walk, node: Node, _: Arguments) -> Value:
    """Repeat each channel for all places of the kernel (torch's `unfold`)."""
    labels = _rooted(walk, node)
    if labels is None:
        return opaque(walk, node)
    channels = walk.labels.along(labels, 1, read_together(node))
    shape = shape_of(node)
    return spread(channels.repeat_interleave(shape[1] // len(channels)), 1, shape)


@rule("col2im")
def folded(walk: Walk, node: Node, _: Arguments) -> Value:
    """Tie the places of a kernel that are added up to one channel (torch's `fold`)."""
    labels = _rooted(walk, node)
    if labels is None:
        return opaque(walk, node)
    shape = shape_of(node)
    places = walk.labels.along(labels, 1, read_together(node)).view(shape[1], -1)
    walk.labels.unite_all(list(places.unbind(1)), read_together(node))
    return spread(places[:, 0].contiguous(), 1, shape)


@rule("expand broadcast_to")
def expanded(walk: Walk, node: Node, _: Arguments) -> Value:
    """Expand the labels like the activation."""
    labels = _rooted(walk, node)
    return opaque(walk, node) if labels is None else labels.expand(shape_of(node))


@rule("pad constant_pad_nd")
def padded(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Pad with label 0; added channels stay whatever is cut beside them."""
    labels, widths = walk.value(arguments["self"]), list(arguments["pad"])
    if not isinstance(labels, Tensor) or len(node.all_input_nodes) > 1:
        return opaque(walk, node)
    padded_dims = {labels.dim() - 1 - i // 2 for i, width in enumerate(widths) if width}
    if padded_dims.isdisjoint(varying(labels)):
        for dim in padded_dims:
            labels = labels.narrow(dim, 0, 1)
        return labels.expand(shape_of(node))
    if arguments.get("mode", "constant") != "constant" or min(widths) < 0:
        return opaque(walk, node, f"{display(node)} crops channels or fills them from others")
    return torch.constant_pad_nd(labels, widths, 0)


def _rooted(walk: Walk, node: Node) -> Tensor | None:
    """Return the labels of the only activation among the arguments, united ones alike."""
    labels = walk.value(node.all_input_nodes[0])
    if not isinstance(labels, Tensor) or len(node.all_input_nodes) > 1:
        return None
    return walk.labels.roots(labels)


def _balance(walk: Walk, node: Node, labels: Tensor, dim: int, n_parts: int) -> None:
    """Note that equal parts along a dimension have to stay equally wide."""
    channels = walk.labels.along(labels, dim, read_together(node))
    why = f"{display(node)} needs {n_parts} parts of equal width"
    walk.labels.balance(channels.view(n_parts, -1), why)


def _split_into(old: Sequence[int], new: Sequence[int], dim: int) -> tuple[int, int]:
    """Return the first of the new dimensions that an old one is split into, and their number.

    The number is 0 where it is not split, or runs together with others.
    """
    before = math.prod(old[:dim])
    for first in range(len(new)):
        if math.prod(new[:first]) == before and new[first] != 1:
            for last in range(first + 1, len(new) + 1):
                if math.prod(new[first:last]) == old[dim]:
                    return first, last - first
    return 0, 0


def _grows(node: Node, asked: object, first: int, n_dims: int) -> int:
    """Return which of several new dimensions follows the number of channels.

    The one that was asked for as -1, otherwise the last: codes such as `view(n, groups, -1)` and
    `view(n, groups, channels // groups)` are the rule.
    """
    last = first + n_dims - 1
    if isinstance(asked, list | tuple):
        offset = first if "unflatten" in display(node) else 0
        for dim in range(first, first + n_dims):
            if asked[dim - offset] == -1:
                return dim
    return last


def _tied(node: Node) -> str:
    return f"{display(node)} ties it to channels that have to stay"
