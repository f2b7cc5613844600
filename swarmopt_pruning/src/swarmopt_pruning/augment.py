"""Images moved and mirrored at random while a network learns them."""

import torch
from torch import Tensor
from torch.nn import functional


def shifted(x: Tensor, most: int) -> Tensor:
    """Return images that are each moved by random numbers of pixels; the border is repeated.

    Args:
        x: (n, channels, height, width) images; others come back as they are.
        most: pixels at most, each way.
    """
    if most < 1 or x.ndim != 4:
        return x
    height, width = x.shape[2:]
    down, right = torch.randint(0, 2 * most + 1, (2, len(x))).to(x.device)
    windows = functional.pad(x, (most,) * 4, mode="replicate")
    windows = windows.unfold(2, height, 1).unfold(3, width, 1)  # a view: (n, c, down, right, h, w)
    return windows[torch.arange(len(x), device=x.device), :, down, right]


def mirrored(x: Tensor) -> Tensor:
    """Return images of which a random half is flipped left to right.

    Args:
        x: (n, channels, height, width) images; others come back as they are.
    """
    if x.ndim != 4:
        return x
    chosen = torch.rand(len(x)).to(x.device) < 0.5
    return torch.where(chosen[:, None, None, None], x.flip(3), x)
