"""Layers with parameters: they make channels, read channels, or have an entry for each."""

from torch import Tensor
from torch.fx import Node

from swarmopt_pruning.labels import constant, spread, varying
from swarmopt_pruning.rules.table import Arguments, display, opaque, read_together, rule, shape_of
from swarmopt_pruning.trace import Layer, Role, Value, Walk

LOOKED_AT = 40
"""Operators between a parameter and a weight computed from it that are looked through."""


@rule("conv1d conv2d conv3d", parameters=True)
def convolution(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Read the input's channels and make new ones; tie them where the convolution is grouped."""
    weight, bias, groups = arguments["weight"], arguments["bias"], arguments["groups"]
    inputs = _layer_input(walk, node, arguments["input"], weight, dim=1)
    if inputs is None:
        return _computed_weight(walk, node)
    shape = shape_of(node)
    outputs = walk.labels.new(shape[1])
    blocks = _grouped(walk, node, groups, inputs, outputs)
    if blocks is not None:  # otherwise every filter goes on reading the whole of its group
        walk.bind(weight, 1, inputs, Role.READ, blocks=blocks)
    walk.bind(weight, 0, outputs, Role.FILTER)
    walk.bind(bias, 0, outputs, Role.BIAS)
    _count(walk, weight, positions=shape.numel() // shape[1])
    return spread(outputs, 1, shape)


@rule("conv_transpose1d conv_transpose2d conv_transpose3d", parameters=True)
def transposed_convolution(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Like a convolution, but the weight is (in, out of each group, ...)."""
    weight, bias, groups = arguments["weight"], arguments["bias"], arguments["groups"]
    inputs = _layer_input(walk, node, arguments["input"], weight, dim=1)
    if inputs is None:
        return _computed_weight(walk, node)
    shape = shape_of(node)
    outputs = walk.labels.new(shape[1])
    blocks = _grouped(walk, node, groups, inputs, outputs)
    if blocks is not None:
        walk.bind(weight, 0, inputs, Role.READ)
        walk.bind(weight, 1, outputs, Role.FILTER, blocks=blocks)
    else:
        walk.bind(weight, 0, inputs, Role.FILTER)
    walk.bind(bias, 0, outputs, Role.BIAS)
    source = shape_of(arguments["input"])
    _count(walk, weight, positions=source.numel() // source[1])
    return spread(outputs, 1, shape)


@rule("embedding", parameters=True)
def embedding(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Make one feature for each column of the table."""
    shape = shape_of(node)
    if walk.tensor_name(arguments["weight"]) is None:
        return opaque(walk, node)
    outputs = walk.labels.new(shape[-1])
    walk.bind(arguments["weight"], 1, outputs, Role.FILTER)
    return spread(outputs, len(shape) - 1, shape)


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


@rule("group_norm", parameters=True)
def group_norm(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Tie the channels of each group: whole groups go, so that no statistic changes."""
    labels, groups = walk.value(arguments["input"]), arguments["num_groups"]
    mixes = f"{display(node)} takes its statistics over several channels"
    if not isinstance(labels, Tensor) or groups == 1:
        return opaque(walk, node, mixes)
    if walk.tensor_name(arguments["weight"]) is None:
        return opaque(walk, node, f"{mixes}, and no weight tells the module how many are left")
    channels = walk.labels.along(labels, 1, read_together(node))
    walk.labels.unite_all(list(channels.view(groups, -1).unbind(1)), mixes)
    walk.bind(arguments["weight"], 0, channels, Role.SCALE)
    walk.bind(arguments["bias"], 0, channels, Role.BIAS)
    return labels


@rule("layer_norm rms_norm", parameters=True)
def layer_norm(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Freeze: fewer channels change the statistics; pass by what is normalised beside them."""
    labels = walk.value(arguments["input"])
    over = len(arguments["normalized_shape"])
    if isinstance(labels, Tensor) and all(d < labels.dim() - over for d in varying(labels)):
        return labels
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
    given = walk.tensor_name(source)
    if labels is None and given is not None and name is not None:  # such as learned queries
        walk.freeze(source, f"is what {display(node)} reads, like an input of the model")
        labels = constant(walk.tensors[given].shape)
    if not isinstance(labels, Tensor) or name is None:
        return None
    if dim == 1 and labels.dim() != walk.tensors[name].dim():
        return None  # a convolution of one sample without a batch dimension
    return walk.labels.along(labels, dim, read_together(node))


def _grouped(walk: Walk, node: Node, groups: int, inputs: Tensor, outputs: Tensor) -> int | None:
    """Tie the blocks of a grouped convolution.

    Returns:
        number of blocks that read different channels; None where whole groups are cut, since a
        group has a single input or output (depthwise).
    """
    if groups == 1:
        return 1
    why = f"{display(node)} needs {groups} blocks of equal width"
    blocks = inputs.view(groups, -1), outputs.view(groups, -1)
    if 1 not in (blocks[0].shape[1], blocks[1].shape[1]):
        for block in blocks:
            walk.labels.balance(block, why)
        return groups
    why = f"lines up in {display(node)} with channels that have to stay"
    for block in blocks:
        walk.labels.unite(blocks[0][:, :1].expand_as(block), block, why)
    return None


def _computed_weight(walk: Walk, node: Node) -> Value:
    walk.fixed_operators[display(node)] = None
    why = f"{display(node)} has a computed weight or an input without a batch dimension"
    for name in _sources(walk, node):
        cure = _cure(walk, name)
        if cure is not None:
            why = f"{display(node)} has a weight that is computed from {name}; {cure} first"
            walk.rigid[name] = why
    return opaque(walk, node, why)


def _sources(walk: Walk, node: Node) -> list[str]:
    """Return the parameters and buffers that a layer's weight is computed from."""
    waiting, seen = list(node.all_input_nodes[1:]), dict.fromkeys(node.all_input_nodes)
    while waiting and len(seen) < LOOKED_AT:
        new = [each for each in waiting.pop().all_input_nodes if each not in seen]
        waiting += new
        seen.update(dict.fromkeys(new))
    return [name for name in map(walk.tensor_name, seen) if name is not None]


def _cure(walk: Walk, name: str) -> str | None:
    """Return how to merge a parametrisation of torch's own into the weight, None if it is none."""
    module, _, leaf = name.partition(".parametrizations.")
    if leaf:
        tensor = leaf.partition(".")[0]
        return f"call torch.nn.utils.parametrize.remove_parametrizations({module}, {tensor!r})"
    module, _, leaf = name.rpartition(".")
    if leaf == "weight_orig" and f"{module}.weight_mask" in walk.tensors:
        return f"call torch.nn.utils.prune.remove({module}, 'weight')"
    if leaf == "weight_orig":
        return f"call torch.nn.utils.remove_spectral_norm({module})"
    if leaf in {"weight_g", "weight_v"} and f"{module}.weight_g" in walk.tensors:
        return f"call torch.nn.utils.remove_weight_norm({module})"
    return None


def _count(walk: Walk, weight: object, positions: int) -> None:
    name = walk.tensor_name(weight)
    if name is not None:
        walk.layers.append(Layer(name, positions))
