"""Convolutions in a row: a small one for digits, and VGG-16.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015,
configuration D, with batch normalisation and a single linear layer as is the rule for small images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.errors import PruningError


class PlainCNN(nn.Module):
    """Three convolutions in a row, pooling, one linear layer.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        widths: channels of the three convolutions.
    """

    def __init__(self, *, in_channels: int, n_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != 3:
            raise PruningError(f"widths must be three numbers, one a layer, got {widths!r}")
        first, second, third = widths
        self.conv1 = nn.Conv2d(in_channels, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(second)
        self.conv3 = nn.Conv2d(second, third, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(third)
        self.fc = nn.Linear(third, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.max_pool2d(x, 2)
        x = functional.relu(self.bn3(self.conv3(x)))
        logits: Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))
        return logits


class VGG(nn.Module):
    """Stages of 3x3 convolutions with max pooling behind each.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        widths: for each stage the channels of its convolutions.
    """

    def __init__(
        self, *, in_channels: int, n_classes: int, widths: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        stages, n_in = [], in_channels
        for stage in widths:
            layers: list[nn.Module] = []
            for n_out in stage:
                layers += [
                    nn.Conv2d(n_in, n_out, 3, padding=1),
                    nn.BatchNorm2d(n_out),
                    nn.ReLU(inplace=True),
                ]
                n_in = n_out
            # With ceil_mode a single pixel stays one, so images smaller than 32x32 pass as well.
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True)))
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(n_in, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        logits: Tensor = self.fc(self.stages(x).mean((2, 3)))
        return logits


def digits_cnn(
    *, in_channels: int = 1, n_classes: int = 10, widths: Sequence[int] = (16, 32, 32)
) -> nn.Module:
    """Return a plain network for 8x8 images, 15 thousand parameters."""
    return PlainCNN(in_channels=in_channels, n_classes=n_classes, widths=widths)


def vgg16_bn(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (64, 128, 256, 512, 512),
) -> nn.Module:
    """Return VGG-16 with batch normalisation for 32x32 images, 14.7 million parameters."""
    if len(widths) != 5:
        raise PruningError(f"widths must be five numbers, one a stage, got {widths!r}")
    stages = [[width] * n for width, n in zip(widths, (2, 2, 3, 3, 3), strict=True)]
    return VGG(in_channels=in_channels, n_classes=n_classes, widths=stages)


def vgg9_bn(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (24, 48, 96, 96),
) -> nn.Module:
    """Return a VGG of four stages of two convolutions: 19 million MACs for 28x28 images."""
    if len(widths) != 4:
        raise PruningError(f"widths must be four numbers, one a stage, got {widths!r}")
    stages = [[width] * 2 for width in widths]
    return VGG(in_channels=in_channels, n_classes=n_classes, widths=stages)
