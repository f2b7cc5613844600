"""Operators that work on each channel by itself, and reductions beside the channels."""

from functools import reduce

from torch import Tensor
from torch.fx import Node

from swarmopt_pruning.labels import constant, varying
from swarmopt_pruning.rules.table import (
    Arguments,
    display,
    for_each_result,
    opaque,
    read_together,
    rule,
    shape_of,
)
from swarmopt_pruning.trace import Role, Value, Walk


@rule(
    "relu relu6 hardtanh sigmoid hardsigmoid log_sigmoid tanh silu hardswish gelu elu selu celu "
    "leaky_relu mish softplus softsign exp log log1p sqrt rsqrt abs neg square reciprocal clamp "
    "clamp_min clamp_max pow dropout feature_dropout alpha_dropout clone contiguous alias detach "
    "lift_fresh_copy zeros_like ones_like full_like to _to_copy gt lt ge le eq ne"
)
def elementwise(walk: Walk, node: Node, _: Arguments) -> Value:
    """Pass on the labels of the only tensor among the arguments."""
    if len(node.all_input_nodes) != 1:
        return opaque(walk, node)
    labels = walk.value(node.all_input_nodes[0])
    return labels if isinstance(labels, Tensor) else opaque(walk, node)


@rule("add sub rsub mul div maximum minimum where lerp addcmul addcdiv", parameters=True)
def combination(walk: Walk, node: Node, _: Arguments) -> Value:
    """Unite the channels of activations, or bind one parameter to those of an activation."""
    operands, shape = node.all_input_nodes, shape_of(node)  # `x + x` and `x + 1` have one
    known = [walk.value(operand) for operand in operands]
    labels = [value for value in known if isinstance(value, Tensor)]
    if len(labels) == len(operands):
        return reduce(lambda one, other: _united(walk, node, one, other), labels).expand(shape)
    if len(operands) == 2 and len(labels) == 1 and labels[0].shape == shape:
        return _with_parameter(walk, node, labels[0], operands[known.index(None)])
    return opaque(walk, node)


@rule("new_zeros new_ones new_full new_empty")
def created(_: Walk, node: Node, __: Arguments) -> Value:
    """Return label 0 for a new tensor, which takes nothing but type and device from another."""
    return for_each_result(node, constant)


@rule("glu")
def gated(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Tie the two halves: one gates the other."""
    labels = walk.value(arguments["self"])
    if not isinstance(labels, Tensor):
        return opaque(walk, node)
    halves = list(labels.chunk(2, arguments["dim"]))
    walk.labels.unite_all(halves, read_together(node))
    return halves[0]


@rule(
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "max_pool2d_with_indices upsample_nearest1d upsample_nearest2d upsample_linear1d "
    "upsample_bilinear2d upsample_bicubic2d"
)
def spatial(walk: Walk, node: Node, _: Arguments) -> Value:
    """Pass on labels that depend on sample and channel only to a result of another extent."""
    labels = walk.value(node.all_input_nodes[0])
    if not isinstance(labels, Tensor) or any(dim > 1 for dim in varying(labels)):
        return opaque(walk, node)
    channels = labels[(slice(None), slice(None), *[slice(0, 1)] * (labels.dim() - 2))]
    return for_each_result(node, channels.expand)


@rule("mean sum amax amin std var norm linalg_vector_norm softmax log_softmax cumsum")
def reduction(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Pass on the labels; unite what is reduced to one, such as the branches of a sum."""
    source = node.all_input_nodes[0]
    labels, dims = walk.value(source), arguments.get("dim")
    if not isinstance(labels, Tensor):
        return opaque(walk, node)
    over = dims if isinstance(dims, list | tuple) else [dims] if isinstance(dims, int) else []
    reduced = {dim % labels.dim() for dim in over}  # none given: all of them
    if not reduced or not set(varying(labels)) - reduced:
        return opaque(walk, node, f"{display(node)} runs over the channels")
    shape = shape_of(node)
    for dim in sorted(reduced, reverse=True):
        walk.labels.unite_all(list(labels.unbind(dim)), read_together(node))
        labels = labels.narrow(dim, 0, 1)
        labels = labels.squeeze(dim) if len(shape) < labels.dim() else labels
    return labels.expand(shape)


def _united(walk: Walk, node: Node, first: Tensor, second: Tensor) -> Tensor:
    """Unite two operands, unless one has a single index where the other has channels."""
    shape = shape_of(node)
    wide = [first.expand(shape), second.expand(shape)]
    single = [_single_dims(first, len(shape)), _single_dims(second, len(shape))]
    channels = [set(varying(labels)) for labels in wide]
    if not (single[0] & channels[1] or single[1] & channels[0]):
        why = f"lines up in {display(node)} with an input, padding or what is frozen"
        walk.labels.unite_all(wide, why)
        return wide[0]
    for mine, other in ((0, 1), (1, 0)):
        if not channels[mine]:
            walk.labels.freeze(wide[mine], f"is broadcast over channels by {display(node)}")
            return wide[other]
    walk.freeze_inputs(node, f"{display(node)} multiplies out two sets of channels")
    return constant(shape)


def _single_dims(labels: Tensor, n_dims: int) -> set[int]:
    """Return the dimensions of a result with `n_dims` along which an operand is broadcast."""
    offset = n_dims - labels.dim()
    return {dim for dim in range(n_dims) if dim < offset or labels.shape[dim - offset] == 1}


def _with_parameter(walk: Walk, node: Node, activation: Tensor, parameter: Node) -> Value:
    """Bind the one dimension of a parameter along which the activation has its channels."""
    size = walk.tensors[walk.names[parameter.name]].shape
    offset = activation.dim() - len(size)
    carrying = [dim for dim in varying(activation) if dim >= offset and size[dim - offset] > 1]
    if len(carrying) > 1:
        return opaque(walk, node, f"a parameter of {display(node)} spans several kinds of channels")
    for dim in carrying:
        channels = walk.labels.along(activation, dim, read_together(node))
        walk.bind(parameter, dim - offset, channels, Role.ELEMENTWISE)
    return activation
