"""Layers with parameters: they make channels, read channels, or have an entry for each."""

from torch import Tensor
from torch.fx import Node

from swarmopt_pruning.labels import spread
from swarmopt_pruning.rules.table import Arguments, display, opaque, read_together, rule, shape_of
from swarmopt_pruning.trace import Layer, Role, Value, Walk


@rule("conv1d conv2d conv3d", parameters=True)
def convolution(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Read the input's channels and make new ones; tie them where the convolution is grouped."""
    weight, bias, groups = arguments["weight"], arguments["bias"], arguments["groups"]
    inputs = _layer_input(walk, node, arguments["input"], weight, dim=1)
    if inputs is None:
        return _computed_weight(walk, node)
    shape = shape_of(node)
    outputs = walk.labels.new(shape[1])
    why = f"lines up in {display(node)} with channels that have to stay"
    if groups == 1:
        walk.bind(weight, 1, inputs, Role.READ)
    elif groups == len(inputs):  # depthwise
        walk.labels.unite(inputs.repeat_interleave(shape[1] // groups), outputs, why)
    else:  # every block loses the same positions, so all blocks stay equally wide
        walk.labels.unite_all(list(inputs.view(groups, -1)), why)
        walk.labels.unite_all(list(outputs.view(groups, -1)), why)
        walk.bind(weight, 1, inputs[: len(inputs) // groups], Role.READ)
    walk.bind(weight, 0, outputs, Role.FILTER)
    walk.bind(bias, 0, outputs, Role.BIAS)
    _count(walk, weight, positions=shape.numel() // shape[1])
    return spread(outputs, 1, shape)


@rule("conv_transpose1d conv_transpose2d conv_transpose3d", parameters=True)
def transposed_convolution(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Like a convolution, but the weight is (in, out, ...); grouped ones are frozen."""
    weight, bias = arguments["weight"], arguments["bias"]
    if arguments["groups"] != 1:
        walk.fixed_operators[display(node)] = None
        return opaque(walk, node, f"goes through a grouped {display(node)}, which has no rule")
    inputs = _layer_input(walk, node, arguments["input"], weight, dim=1)
    if inputs is None:
        return _computed_weight(walk, node)
    shape = shape_of(node)
    outputs = walk.labels.new(shape[1])
    walk.bind(weight, 0, inputs, Role.READ)
    walk.bind(weight, 1, outputs, Role.FILTER)
    walk.bind(bias, 0, outputs, Role.BIAS)
    source = _labels(walk, arguments["input"]).shape
    _count(walk, weight, positions=source.numel() // source[1])
    return spread(outputs, 1, shape)


@rule("linear", parameters=True)
def linear(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Read the features of the last dimension and make new ones."""
    weight, bias = arguments["weight"], arguments["bias"]
    inputs = _layer_input(walk, node, arguments["input"], weight, dim=-1)
    if inputs is None:
        return _computed_weight(walk, node)
    shape = shape_of(node)
    outputs = walk.labels.new(shape[-1])
    walk.bind(weight, 1, inputs, Role.READ)
    walk.bind(weight, 0, outputs, Role.FILTER)
    walk.bind(bias, 0, outputs, Role.BIAS)
    _count(walk, weight, positions=shape.numel() // shape[-1])
    return spread(outputs, len(shape) - 1, shape)


@rule("batch_norm instance_norm", parameters=True)
def channelwise_norm(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Bind weight, bias and statistics to the channels: every channel has its own statistics."""
    labels = walk.value(arguments["input"])
    if not isinstance(labels, Tensor):
        return opaque(walk, node)
    channels = walk.labels.along(labels, 1, read_together(node))
    walk.bind(arguments["weight"], 0, channels, Role.SCALE)
    walk.bind(arguments["bias"], 0, channels, Role.BIAS)
    walk.bind(arguments["running_mean"], 0, channels, Role.STATISTIC)
    walk.bind(arguments["running_var"], 0, channels, Role.STATISTIC)
    return labels


@rule("group_norm layer_norm rms_norm local_response_norm", parameters=True)
def mixing_norm(walk: Walk, node: Node, _: Arguments) -> Value:
    """Freeze: fewer channels change the statistics that the remaining ones are divided by."""
    return opaque(walk, node, f"{display(node)} takes its statistics over several channels")


@rule("prelu", parameters=True)
def prelu(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Bind the slopes, where there is one for every channel."""
    labels, slopes = walk.value(arguments["self"]), walk.tensor_name(arguments["weight"])
    if not isinstance(labels, Tensor) or slopes is None:
        return opaque(walk, node)
    if walk.tensors[slopes].numel() > 1:
        channels = walk.labels.along(labels, 1, read_together(node))
        walk.bind(arguments["weight"], 0, channels, Role.ELEMENTWISE)
    return labels


def _layer_input(walk: Walk, node: Node, source: Node, weight: object, dim: int) -> Tensor | None:
    """Return one label per input channel of a layer, None where its weight is computed."""
    labels, name = walk.value(source), walk.tensor_name(weight)
    if not isinstance(labels, Tensor) or name is None:
        return None
    if dim == 1 and labels.dim() != walk.tensors[name].dim():
        return None  # a convolution of one sample without a batch dimension
    return walk.labels.along(labels, dim, read_together(node))


def _computed_weight(walk: Walk, node: Node) -> Value:
    walk.fixed_operators[display(node)] = None
    why = f"{display(node)} has a computed weight or an input without a batch dimension"
    return opaque(walk, node, why)


def _count(walk: Walk, weight: object, positions: int) -> None:
    name = walk.tensor_name(weight)
    if name is not None:
        walk.layers.append(Layer(name, positions // walk.batch))


def _labels(walk: Walk, source: Node) -> Tensor:
    labels = walk.value(source)
    if not isinstance(labels, Tensor):
        raise TypeError(f"{source} carries no labels")
    return labels
