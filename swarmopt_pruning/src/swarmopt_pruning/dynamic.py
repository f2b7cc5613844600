"""Where a model makes a tensor whose size depends on values; torch.export names a later line."""

import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Frames = Sequence[traceback.FrameSummary]


def dynamic_frames(model: nn.Module, example: tuple[Any, ...]) -> Frames:
    """Run a model on the example until a tensor's size depends on values.

    Args:
        model: in evaluation mode.
        example: its arguments.

    Returns:
        the stack at that place, innermost last; empty where there is none.
    """
    watch = _Watch()
    try:
        with torch.no_grad(), watch:
            model(*example)
    except Exception:  # noqa: BLE001 - what was seen until then is all that is asked
        return watch.frames
    return watch.frames


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's own lack
    """Remembers where the first operator with a dynamic shape is called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's own lack
        self.frames: Frames = ()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if not self.frames and _is_dynamic(func, args):
            self.frames = traceback.extract_stack()
        return func(*args, **(kwargs or {}))


def _is_dynamic(operator: Any, arguments: Any) -> bool:
    if torch.Tag.dynamic_output_shape not in operator.tags:
        return False
    if not operator.name().startswith("aten::index"):
        return True
    masks = [x for x in tree_leaves(arguments[1]) if isinstance(x, Tensor)]
    return any(mask.dtype in (torch.bool, torch.uint8) for mask in masks)
