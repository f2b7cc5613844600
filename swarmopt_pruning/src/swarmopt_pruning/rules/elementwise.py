"""Operators that work on each channel by itself, and reductions beside the channels."""

from functools import reduce

import torch
from torch import Tensor
from torch.fx import Node

from swarmopt_pruning.labels import constant, spread, varying
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

POINTWISE = """
    __and__ __or__ __xor__ _to_copy abs acos acosh add addcdiv addcmul alias alpha_dropout
    arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh bitwise_and
    bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min clip clone contiguous
    copysign cos cosh deg2rad detach digamma div divide dropout elu eq erf erfc erfinv exp exp2
    expm1 feature_alpha_dropout feature_dropout fix float_power floor floor_divide fmax fmin
    fmod frac full_like ge gelu greater greater_equal gt hardshrink hardsigmoid hardswish
    hardtanh heaviside hypot i0 isfinite isinf isnan le leaky_relu lerp less less_equal
    lift_fresh_copy log log10 log1p log2 log_sigmoid logaddexp logaddexp2 logical_and
    logical_not logical_or logical_xor logit lt masked_fill maximum minimum mish mul multiply
    nan_to_num ne neg negative not_equal ones_like positive pow rad2deg reciprocal relu relu6
    remainder round rrelu rsqrt rsub selu sgn sigmoid sign silu sin sinc sinh softplus
    softshrink softsign special_erf special_expit sqrt square sub subtract tan tanh threshold to
    true_divide trunc where xlogy zeros_like
"""
"""Operators whose result at one place depends on their operands at that place only."""


@rule(POINTWISE, parameters=True)
def pointwise(walk: Walk, node: Node, _: Arguments) -> Value:
    """Pass on the labels of one activation; unite those of several; bind a parameter to them."""
    operands, shape = node.all_input_nodes, shape_of(node)  # `x + x` and `x + 1` have one
    known = [walk.value(operand) for operand in operands]
    labels = [value for value in known if isinstance(value, Tensor)]
    if len(operands) == 2 and len(labels) == 1 and labels[0].shape == shape:
        return _with_parameter(walk, node, labels[0], operands[known.index(None)])
    for operand in operands:
        walk.lift(operand)
    labels = [value for value in map(walk.value, operands) if isinstance(value, Tensor)]
    if not labels or len(labels) < len(operands):
        return opaque(walk, node)
    return reduce(lambda one, other: _united(walk, node, one, other), labels).expand(shape)


@rule("type_as expand_as")
def like_another(walk: Walk, node: Node, _: Arguments) -> Value:
    """Take nothing but type or shape from the second operand."""
    labels = walk.value(node.args[0])
    return labels.expand(shape_of(node)) if isinstance(labels, Tensor) else opaque(walk, node)


@rule("new_zeros new_ones new_full new_empty rand_like randn_like randint_like empty_like")
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
    "adaptive_max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d "
    "upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa "
    "grid_sampler max_unpool2d max_unpool3d"
)
def spatial(walk: Walk, node: Node, _: Arguments) -> Value:
    """Pass on the channels to a result of another extent; where to look, if given, is frozen."""
    first, *others = node.all_input_nodes
    labels = walk.value(first)
    if not isinstance(labels, Tensor):
        return opaque(walk, node)
    for other in others:
        walk.freeze(other, f"tells {display(node)} where to look")
    beyond = [dim for dim in varying(labels) if dim > 1]
    if beyond and 1 not in varying(labels):
        return opaque(walk, node, f"{display(node)} runs over the channels")
    if beyond:
        labels = spread(walk.labels.along(labels, 1, read_together(node)), 1, labels.shape)
    channels = labels[(slice(None), slice(None), *[slice(0, 1)] * (labels.dim() - 2))]
    return for_each_result(node, channels.expand)


@rule(
    "mean sum nansum nanmean amax amin aminmax max min std var std_mean var_mean norm "
    "linalg_vector_norm softmax log_softmax cumsum cumprod cummax cummin logcumsumexp logsumexp "
    "prod argmax argmin any all count_nonzero median nanmedian mode sort argsort topk kthvalue "
    "special_softmax special_log_softmax"
)
def reduction(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Pass on the labels; unite what is reduced to one, such as the branches of a sum."""
    if len(node.all_input_nodes) > 1:  # the larger of two
        return pointwise(walk, node, arguments)
    labels, dims = walk.value(node.all_input_nodes[0]), arguments.get("dim")
    if not isinstance(labels, Tensor):
        return opaque(walk, node)
    over = dims if isinstance(dims, list | tuple) else [dims] if isinstance(dims, int) else []
    reduced = {dim % labels.dim() for dim in over}  # none given: all of them
    labels = walk.labels.roots(labels)
    if not reduced or not set(varying(labels)) - reduced:
        return opaque(walk, node, f"{display(node)} runs over the channels")
    for dim in sorted(reduced):
        walk.labels.unite_all(list(labels.unbind(dim)), read_together(node))
        labels = labels.narrow(dim, 0, 1)
    return for_each_result(node, lambda shape: _reduced(labels, reduced, shape))


def _reduced(labels: Tensor, dims: set[int], shape: torch.Size) -> Tensor:
    """Return labels of size 1 along the reduced dimensions in the shape of a result."""
    if len(shape) < labels.dim():
        labels = labels.squeeze(tuple(dims))
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
