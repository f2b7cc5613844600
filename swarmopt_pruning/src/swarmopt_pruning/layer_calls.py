"""The calls of convolutions and linear layers while a network runs, and the weights they read.

Calls are seen where torch gets them, so a layer is found whether its module is one of torch's own
or a user's that calls `torch.nn.functional`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (
    "input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation",
)  # fmt: skip
_SIGNATURES: dict[Callable[..., Any], tuple[str, ...]] = {
    functional.linear: ("input", "weight", "bias"),
    **dict.fromkeys((functional.conv1d, functional.conv2d, functional.conv3d), _CONVOLUTION),
    **dict.fromkeys(
        (
            functional.conv_transpose1d,
            functional.conv_transpose2d,
            functional.conv_transpose3d,
        ),
        _TRANSPOSED,
    ),
}
_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}

Ints = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a convolution or linear layer.

    Attributes:
        weight: name of its weight.
        bias: name of its bias, "" where it has none.
        x: its input.
        kernel: size of the kernel in each dimension; () for a linear layer.
        stride: of the convolution, one number a dimension; likewise the others.
        padding: zeros before and after the input in each dimension.
        dilation: distance of the kernel's taps.
        output_padding: of a transposed convolution.
        groups: of the convolution.
        transposed: whether it is a transposed convolution.
    """

    weight: str
    bias: str
    x: Tensor
    kernel: Ints = ()
    stride: Ints = ()
    padding: tuple[tuple[int, int], ...] = ()
    dilation: Ints = ()
    output_padding: Ints = ()
    groups: int = 1
    transposed: bool = False


class LayerCalls(TorchFunctionMode):
    """While it is entered, hands every call of a layer with a named weight to a function.

    Args:
        tensors: the weights and biases, by name.
        heard: called before each of them.
    """

    def __init__(self, tensors: Mapping[str, Tensor], heard: Callable[[LayerCall], None]) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self._heard = heard

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        signature = _SIGNATURES.get(func)
        if signature is not None:
            found = {**_DEFAULTS, **dict(zip(signature, args, strict=False)), **kwargs}
            call = self._read(found, transposed=signature is _TRANSPOSED)
            if call is not None:
                with torch._C.DisableTorchFunction():  # noqa: SLF001 - what looks on is not looked at
                    self._heard(call)
        return func(*args, **kwargs)

    def _read(self, found: Mapping[str, Any], *, transposed: bool) -> LayerCall | None:
        weight, bias = found["weight"], found.get("bias")
        name = self._names.get(id(weight))
        if name is None:
            return None
        bias_name = "" if bias is None else self._names.get(id(bias), "")
        if weight.dim() < 3:
            return LayerCall(name, bias_name, found["input"])
        kernel = tuple(weight.shape[2:])
        n = len(kernel)
        dilation = _each(found["dilation"], n)
        return LayerCall(
            name,
            bias_name,
            found["input"],
            kernel,
            _each(found["stride"], n),
            _padding(found["padding"], kernel, dilation),
            dilation,
            _each(found["output_padding"], n),
            found["groups"],
            transposed,
        )


def _each(value: int | Sequence[int], n: int) -> Ints:
    """Return one number for each of n dimensions."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n if len(values) == 1 else values


def _padding(value: Any, kernel: Ints, dilation: Ints) -> tuple[tuple[int, int], ...]:
    """Return the zeros on both sides of each dimension."""
    if value == "valid":
        return ((0, 0),) * len(kernel)
    if value == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple((p, p) for p in _each(value, len(kernel)))
