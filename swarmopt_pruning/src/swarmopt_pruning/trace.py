"""Export a model and walk its graph on labels of channels.

The walk knows the graph and the tensors; what each operator does to labels is in `rules`.
"""

import copy
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.utils._pytree import tree_leaves

from swarmopt_pruning.errors import PruningError, first_line
from swarmopt_pruning.labels import Labels, constant, spread
from swarmopt_pruning.static import static_graph

Value = Tensor | list[Tensor] | None


class Role(StrEnum):
    """What a dimension of a parameter or buffer does with the channels along it."""

    FILTER = "filter"
    """The weight that makes the channels: output dimension of a convolution or linear layer."""
    BIAS = "bias"
    """Added to the channels."""
    SCALE = "scale"
    """Weight of a normalisation."""
    STATISTIC = "statistic"
    """Running mean or variance; the masked twin leaves it alone."""
    ELEMENTWISE = "elementwise"
    """Combined with the channels one by one; the masked twin leaves it alone."""
    READ = "read"
    """The weight that reads the channels: input dimension of the next layer."""


@dataclass(frozen=True, eq=False)
class Binding:
    """One dimension of one tensor whose indices are channels."""

    role: Role
    labels: Tensor  # (blocks * size of the dimension,)
    blocks: int = 1
    """Every block of dimension 0 has channels of its own here, as in a grouped convolution."""


@dataclass(frozen=True)
class Layer:
    """One call of a convolution or linear layer.

    Args:
        weight: name of its weight.
        positions: how often the example applies the whole weight (output positions of all images,
            or input positions of a transposed convolution); MACs = positions * elements of the
            weight.
    """

    weight: str
    positions: int


@dataclass(eq=False)
class Walk:
    """What is known after a walk over the exported graph.

    Args:
        tensors: parameters and buffers by name, each once.
        batch: number of images in the example.
        names: name of the parameter or buffer of a placeholder of the graph.
    """

    tensors: Mapping[str, Tensor]
    batch: int
    names: Mapping[str, str]
    labels: Labels = field(default_factory=Labels)
    bindings: dict[tuple[str, int], Binding] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    rigid: dict[str, str] = field(default_factory=dict)
    fixed_operators: dict[str, None] = field(default_factory=dict)
    _values: dict[Node, Value] = field(default_factory=dict)

    def value(self, argument: object) -> Value:
        """Return the labels of an argument of an operator; None for parameters and plain values."""
        return self._values.get(argument) if isinstance(argument, Node) else None

    def tensor_name(self, argument: object) -> str | None:
        """Return the name of the parameter or buffer that an argument is, None if it is none."""
        return self.names.get(argument.name) if isinstance(argument, Node) else None

    def bind(
        self, argument: object, dim: int, labels: Tensor, role: Role, *, blocks: int = 1
    ) -> None:
        """Note that the indices along `dim` of a parameter are the channels `labels`.

        Args:
            argument: the parameter or buffer; anything else is passed by.
            dim: the dimension.
            labels: (blocks * size,).
            role: what the parameter does with them.
            blocks: number of blocks of dimension 0 with channels of their own along `dim`.
        """
        name = self.tensor_name(argument)
        if name is None:
            return
        known = self.bindings.setdefault((name, dim), Binding(role, labels, blocks))
        if known.blocks != blocks:
            self.rigid.setdefault(name, f"{name} is read in {known.blocks} blocks and in {blocks}")
            self.labels.freeze(labels, self.rigid[name])
            return
        self.labels.unite(known.labels, labels, f"shares {name} with channels that have to stay")

    def lift(self, node: Node) -> None:
        """Give a parameter or buffer with one long dimension labels of its own, like a layer.

        So `scale.exp().view(1, -1, 1, 1)` is followed as an activation is.
        """
        name = self.tensor_name(node)
        if name is None or self._values.get(node) is not None:
            return
        shape = self.tensors[name].shape
        long = [dim for dim, size in enumerate(shape) if size > 1]
        if len(long) == 1:
            labels = self.labels.new(shape[long[0]])
            self.bind(node, long[0], labels, Role.ELEMENTWISE)
            self._values[node] = spread(labels, long[0], shape)
        elif not long:
            self._values[node] = constant(shape)

    def run(
        self, graph: torch.fx.Graph, rule: Callable[["Walk", Node, dict[str, Any]], Value]
    ) -> None:
        """Walk the graph in order, asking `rule` for the labels of every operator's result."""
        for node in graph.nodes:
            if node.op == "placeholder":
                shown = node.meta.get("val")
                inside = node.name in self.names
                if not inside and isinstance(shown, Tensor):
                    self._values[node] = constant(shown.shape)
            elif node.op == "call_function" and node.target is operator.getitem:
                source = self._values.get(node.args[0])
                self._values[node] = None if source is None else source[node.args[1]]
            elif node.op == "call_function":
                self._values[node] = rule(self, node, arguments(node))
            elif node.op == "output":
                for source in node.all_input_nodes:
                    self.freeze(source, "reaches the output of the model")
        for (name, _), binding in self.bindings.items():
            if name in self.rigid:
                self.labels.freeze(binding.labels, self.rigid[name])

    def freeze_inputs(self, node: Node, reason: str) -> None:
        """Freeze everything that goes into a node: channels and parameters."""
        for source in node.all_input_nodes:
            self.freeze(source, reason)

    def freeze(self, node: Node, reason: str) -> None:
        """Freeze what one node stands for: channels, or a parameter."""
        value = self._values.get(node)
        name = self.tensor_name(node)
        if name is not None:
            self.rigid.setdefault(name, reason)
        for labels in value if isinstance(value, list) else [value]:
            if labels is not None:
                self.labels.freeze(labels, reason)


def arguments(node: Node) -> dict[str, Any]:
    """Return the arguments of an operator by the names in its schema, defaults filled in."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {str(i): value for i, value in enumerate(node.args)}
    found = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    found.update(zip((a.name for a in schema.arguments), node.args, strict=False))
    found.update(node.kwargs)
    return found


def first_names(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the parameters and buffers of a model, each under its first name, and all aliases.

    Returns:
        tensors by their first name, and the first name of every name.
    """
    named = [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]
    first: dict[int, str] = {}
    aliases = {name: first.setdefault(id(tensor), name) for name, tensor in named}
    return {name: tensor for name, tensor in named if aliases[name] == name}, aliases


def evaluation_copy(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model in evaluation mode, whatever mode the original is in.

    Raises:
        PruningError: The model holds something that `copy.deepcopy` refuses.
    """
    try:
        return copy.deepcopy(model, computed_copies(model)).eval()
    except (TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        raise PruningError(
            f"{type(model).__name__} cannot be copied ({first_line(error)}), and a pruned network "
            f"is a copy: make copy.deepcopy(model) work, for example by keeping open files, locks "
            f"and functions of other libraries out of the modules"
        ) from error


def computed_copies(model: nn.Module) -> dict[int, Any]:
    """Return copies of the tensors that a model's hooks computed, as a memo for `deepcopy`.

    The old `torch.nn.utils.weight_norm` and its kin leave such tensors in their modules, and
    `deepcopy` refuses what is no leaf of autograd's graph.
    """
    return {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }


def walk_model(
    model: nn.Module,
    example: tuple[Any, ...],
    rule: Callable[[Walk, Node, dict[str, Any]], Value],
) -> Walk:
    """Export a model (already in evaluation mode) and walk its graph.

    Raises:
        NotExportable: The model runs but cannot be exported.
    """
    program = static_graph(model, example)
    tensors, aliases = first_names(model)
    signature = program.graph_signature
    inside = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    names = {key: aliases[name] for key, name in inside.items() if name in aliases}
    walk = Walk(tensors=tensors, batch=batch_size(example), names=names)
    walk.run(program.graph, rule)
    return walk


def batch_size(example: tuple[Any, ...]) -> int:
    """Return the length of the first tensor of the example along its first dimension."""
    for item in tree_leaves(example):
        if isinstance(item, Tensor) and item.dim() > 0:
            return item.shape[0]
    raise PruningError("the example holds no tensor with a batch dimension; pass (images,)")
