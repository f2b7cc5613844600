"""What cannot be traced at all is refused before torch.export sees it, with the cure."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from swarmopt_pruning.errors import PruningError, first_line


def check(model: nn.Module, example: tuple[Any, ...]) -> None:
    """Raise unless a model is of a kind that can be traced.

    Raises:
        PruningError: The model is no module, compiled, scripted, quantized, wrapped for several
            devices, not initialised yet or without values, or the example no tuple or empty.
    """
    if not isinstance(model, nn.Module):
        raise PruningError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    if not isinstance(example, tuple):
        raise PruningError(
            f"the example must be a tuple of the model's arguments, got "
            f"{type(example).__name__}; for one batch of images pass (images,)"
        )
    if any(isinstance(item, Tensor) and item.is_meta for item in tree_leaves(example)):
        raise PruningError(
            f"the example is on the meta device, {_shown(example)}, and has no values to compare; "
            f"pass a real batch: torch.randn(...)"
        )
    first = next((x for x in tree_leaves(example) if isinstance(x, Tensor) and x.dim() > 0), None)
    if first is not None and first.numel() == 0:
        raise PruningError(
            f"the example is empty, {_shown(example)}: nothing can be compared; pass one or two "
            f"real images: torch.randn(2, ...)"
        )
    for name, module in model.named_modules():
        _check_kind(name or "the model", module)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise PruningError(
                f"{name} has no shape yet: run the lazy model once, model(*example), and trace then"
            )
        if tensor.is_meta:
            raise PruningError(
                f"{name} is on the meta device and has no values to compare; give the model "
                f"storage first: model.to_empty(device='cpu'), then load or initialise its weights"
            )


def check_run(model: nn.Module, example: tuple[Any, ...]) -> None:
    """Run a model, in evaluation mode already, once on the example.

    Raises:
        PruningError: It does not run.
    """
    try:
        with torch.no_grad():
            model(*example)
    except Exception as error:
        raise PruningError(
            f"{type(model).__name__} does not run on the example: {first_line(error)}. The example "
            f"is {_shown(example)}; the model's tensors are {_kinds(model)}. Pass a tuple of what "
            f"model(...) takes (prune-inspect: --input), in that type and on that device"
            f"{_by_name(model, error)}"
        ) from error


def _by_name(model: nn.Module, error: Exception) -> str:
    """Return the way out where forward takes arguments by name only, "" where it does not."""
    if not isinstance(error, TypeError):
        return ""
    taken = inspect.signature(model.forward).parameters.values()
    names = [one.name for one in taken if one.kind is inspect.Parameter.KEYWORD_ONLY]
    if not names:
        return ""
    return (
        f". Its forward takes {', '.join(names)} by name only: trace a module around it, whose "
        f"forward(self, x) returns self.model({names[0]}=x)"
    )


def _check_kind(name: str, module: nn.Module) -> None:
    """Refuse modules that have no Python code or no floating-point weights to cut."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise PruningError(
            f"{name} is a TorchScript module ({kind.__name__}): its code is fixed and its layers "
            f"cannot be resized. Trace the nn.Module that it was scripted from, and script the "
            f"pruned network"
        )
    if kind.__module__.startswith(("torch.ao.nn.quantized", "torch.nn.quantized")) or (
        ".quantized." in kind.__module__
    ):
        raise PruningError(
            f"{name} is quantized ({kind.__module__}.{kind.__name__}): its weights are packed and "
            f"cannot be sliced. Prune the floating-point network, and quantize the result"
        )
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise PruningError(
            f"{name} is a {kind.__name__}, which copies a network to several devices: trace the "
            f"network inside, model.module, and wrap the pruned one"
        )
    if kind.__name__ == "OptimizedModule" and hasattr(module, "_orig_mod"):
        raise PruningError(
            f"{name} was made by torch.compile: trace the module inside, model._orig_mod, and "
            f"compile the pruned network"
        )


def _shown(example: tuple[Any, ...]) -> str:
    """Return the example in words: shapes, types and devices."""
    parts = [
        f"{str(item.dtype).removeprefix('torch.')} {tuple(item.shape)} on {item.device}"
        if isinstance(item, Tensor)
        else type(item).__name__
        for item in example
    ]
    return f"({', '.join(parts)})"


def _kinds(model: nn.Module) -> str:
    """Return the types and devices of a model's parameters and buffers in words."""
    tensors = [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]
    kinds = {f"{str(t.dtype).removeprefix('torch.')} on {t.device}" for t in tensors}
    return " and ".join(sorted(kinds)) or "none"
