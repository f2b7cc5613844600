"""Weights of convolutions with the channels last for a while, which is faster on processors."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

NARROW = 16  # float32 numbers in a vector of AVX-512


@contextmanager
def channels_last(x: Tensor, *models: nn.Module | None) -> Iterator[None]:
    """Keep the four-dimensional weights of networks with the channels last, and put them back.

    The networks hold the same parameters before, meanwhile and after; only their layout changes, so
    that one that was trained and one that was loaded give the same bits.

    Args:
        x: images of the networks; if they are not (n, channels, height, width), nothing is done.
        models: networks; None is passed over.
    """
    found = [m for m in models if m is not None] if x.ndim == 4 else []
    weights = [p for m in found for p in m.parameters() if p.ndim == 4 and p.is_contiguous()]
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for weight in weights:
            weight.data = weight.data.contiguous()


def sound(model: nn.Module) -> bool:
    """Return whether a network may be trained with the channels last.

    oneDNN writes past its memory in the gradient of the weight of a 1x1 convolution with a stride
    and fewer inputs than a vector has numbers (github.com/uxlfoundation/oneDNN, issue 6035).
    """
    for module in model.modules():
        strides = module.stride if isinstance(module, nn.Conv2d) else (2,)
        for weight in module.parameters(recurse=False):
            narrow = weight.ndim == 4 and weight.shape[1] < NARROW
            if narrow and weight.shape[2:] == (1, 1) and max(strides) > 1:
                return False
    return True


def as_images(x: Tensor) -> Tensor:
    """Return (n, channels, height, width) images with the channels last, others as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
