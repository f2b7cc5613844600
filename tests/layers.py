"""Layers that networks of the tests are made of."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def images(channels: int = 3, size: int = 8) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


def conv(n_in: int, n_out: int, kernel: int = 3, **options: int) -> nn.Sequential:
    options = {"padding": kernel // 2, **options}
    layer = nn.Conv2d(n_in, n_out, kernel, **options)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU())


class Head(nn.Module):
    """Body, global pooling, classifier."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.fc = body, nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.body(x).mean((2, 3)))
        return out


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)
