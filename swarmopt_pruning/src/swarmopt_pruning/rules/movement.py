"""Operators that only move data: they run on the labels as they run on activations."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from swarmopt_pruning.labels import varying
from swarmopt_pruning.rules.table import Arguments, display, opaque, rule, shape_of
from swarmopt_pruning.trace import Value, Walk


@rule("permute transpose t movedim squeeze unsqueeze cat concat stack unbind repeat flip")
def moved(walk: Walk, node: Node, _: Arguments) -> Value:
    """Run the operator itself on the labels."""
    if any(not isinstance(walk.value(source), Tensor) for source in node.all_input_nodes):
        return opaque(walk, node)
    args, kwargs = map_arg((node.args, node.kwargs), walk.value)
    result = _call(node, args, kwargs)
    return list(result) if isinstance(result, list | tuple) else result


@rule("slice select narrow index_select split split_with_sizes tensor_split")
def cut(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Run the operator on the labels; freeze them where fixed indices take channels apart."""
    labels = walk.value(node.all_input_nodes[0])
    if not isinstance(labels, Tensor) or len(node.all_input_nodes) > 1:
        return opaque(walk, node)
    dim = arguments.get("dim", 0) % labels.dim()
    result = moved(walk, node, arguments)
    whole = isinstance(result, Tensor) and result.shape == labels.shape
    if dim in varying(labels) and not whole:
        walk.labels.freeze(labels, f"{display(node)} takes the channels apart at fixed indices")
    return result


@rule("chunk")
def chunk(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Tie the chunks position by position, so that the same call still cuts at their borders."""
    labels = walk.value(node.all_input_nodes[0])
    parts = moved(walk, node, arguments)
    if isinstance(labels, Tensor) and isinstance(parts, list):
        dim = arguments.get("dim", 0) % labels.dim()
        if dim in varying(labels):
            if len({part.shape for part in parts}) > 1:
                return opaque(walk, node, f"{display(node)} makes unequal parts of the channels")
            walk.labels.unite_all(parts, f"{display(node)} ties it to channels that have to stay")
    return parts


@rule("view reshape flatten unflatten _unsafe_view")
def reshaped(walk: Walk, node: Node, _: Arguments) -> Value:
    """Reshape the labels; a split of the channels into blocks ties the blocks."""
    labels = walk.value(node.all_input_nodes[0])
    if not isinstance(labels, Tensor):
        return opaque(walk, node)
    old, shape = labels.shape, shape_of(node)
    result = labels.reshape(shape)
    if len(shape) > len(old) > 1 and shape[1] != old[1] and shape[1] * shape[2] == old[1]:
        why = f"{display(node)} ties it to channels that have to stay"
        walk.labels.unite_all(list(result.unbind(1)), why)
    return result


@rule("expand expand_as broadcast_to")
def expanded(walk: Walk, node: Node, _: Arguments) -> Value:
    """Expand the labels like the activation."""
    labels = walk.value(node.all_input_nodes[0])
    return labels.expand(shape_of(node)) if isinstance(labels, Tensor) else opaque(walk, node)


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


def _call(node: Node, args: Any, kwargs: Any) -> Any:
    target: Any = node.target
    return target(*args, **kwargs)
