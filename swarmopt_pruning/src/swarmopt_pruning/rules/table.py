"""The table from operator to rule, and what happens to an operator that is not in it.

Rules are keyed by the operator's name without overload and without the underscore of its in-place
form. An operator without a rule freezes what it reads, and is named in the reason.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from swarmopt_pruning.labels import constant
from swarmopt_pruning.trace import Value, Walk

Arguments = dict[str, Any]
Rule = Callable[[Walk, Node, Arguments], Value]

RULES: dict[str, Rule] = {}
"""Rule by name of the operator, such as "conv2d"."""

TAKES_PARAMETERS: set[str] = set()
"""Operators whose rule knows what to do with a parameter or buffer among the arguments."""

PRODUCTS = frozenset(
    [
        *("matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "bilinear"),
        *("scaled_dot_product_attention", "convolution"),
    ]
)
"""Operators without a closed form whose multiply-adds are measured once and stay constant."""


def rule(names: str, *, parameters: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule for operators, named in one string with blanks between."""

    def register(function: Rule) -> Rule:
        for name in names.split():
            RULES[name] = function
            if parameters:
                TAKES_PARAMETERS.add(name)
        return function

    return register


def labels_after(walk: Walk, node: Node, arguments: Arguments) -> Value:
    """Return the labels of an operator's result, by its rule or by freezing what it reads."""
    name = base_name(node)
    if name not in RULES:
        return opaque(walk, node)
    if name not in TAKES_PARAMETERS:
        for source in node.all_input_nodes:
            walk.lift(source)
        if any(walk.value(source) is None for source in node.all_input_nodes):
            return opaque(walk, node)
    try:
        return RULES[name](walk, node, arguments)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        return opaque(walk, node, f"{display(node)} is called in a way without a rule ({error})")


def base_name(node: Node) -> str:
    """Return the name of one of torch's own operators without overload and in-place underscore."""
    name = display(node)
    if not name.startswith("aten."):
        return name
    name = name.split(".")[1]
    return name if name.startswith("__") else name.rstrip("_")


def display(node: Node) -> str:
    """Return the name of a node's operator as torch prints it, such as "aten.relu.default"."""
    return str(node.target)


@rule("_assert_tensor_metadata _assert_async _assert_scalar")
def check(*_: object) -> None:
    """Pass by what only looks."""


def opaque(walk: Walk, node: Node, reason: str | None = None) -> Value:
    """Freeze everything an operator reads; its result is as good as an input of the model."""
    name = display(node)
    walk.freeze_inputs(node, reason or f"goes through {name}, which has no rule{_cure(name)}")
    if base_name(node) in PRODUCTS:
        walk.fixed_operators[name] = None
    return for_each_result(node, constant)


CURES = {
    "wrap_with_set_grad_enabled": (
        "take torch.no_grad() out of forward and call the model in it (torch.utils.checkpoint has "
        "one inside: give it use_reentrant=False)"
    ),
    "wrap_with_autocast": "take torch.autocast out of forward, and call the model in it",
}
"""What frees channels that go through a block of code that torch.export keeps as one operator."""


def _cure(name: str) -> str:
    return f"; {CURES[name]}" if name in CURES else ""


def read_together(node: Node) -> str:
    """Return the reason for what a node ties to something frozen."""
    return f"{display(node)} reads it together with channels that have to stay"


def shape_of(node: Node) -> torch.Size:
    """Return the shape of a node's only result."""
    shape: torch.Size = node.meta["val"].shape
    return shape


def for_each_result(node: Node, make: Callable[[torch.Size], Tensor]) -> Value:
    """Return what `make` gives for the shape of every tensor in a node's result."""
    shown = node.meta.get("val")
    if isinstance(shown, Tensor):
        return make(shown.shape)
    if isinstance(shown, Sequence):
        return [make(part.shape) for part in shown if isinstance(part, Tensor)]
    return None
