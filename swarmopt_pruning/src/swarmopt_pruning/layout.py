"""Weights of convolutions with the channels last for a while, which is faster on processors."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


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


def as_images(x: Tensor) -> Tensor:
    """Return (n, channels, height, width) images with the channels last, others as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
