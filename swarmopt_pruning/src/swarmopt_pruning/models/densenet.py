"""DenseNet for small images: every layer reads the channels of all before it.

Huang et al., "Densely Connected Convolutional Networks", 2017, section 3: no bottlenecks and no
compression, three dense blocks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.errors import PruningError


class DenseLayer(nn.Module):
    """Normalisation, ReLU and a 3x3 convolution, whose channels are added to the input's.

    Args:
        n_in: channels of the input.
        growth: channels that are added.
    """

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(n_in)
        self.conv = nn.Conv2d(n_in, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_in + growth, height, width)."""
        return torch.cat([x, self.conv(functional.relu(self.bn(x)))], dim=1)


class Transition(nn.Module):
    """Normalisation, ReLU, a 1x1 convolution and average pooling between two blocks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, width, height / 2, width / 2)."""
        return functional.avg_pool2d(self.conv(functional.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    """Three dense blocks with transitions between them.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        depth: number of layers, 4 more than a multiple of 3.
        growth: channels that each layer adds.
    """

    def __init__(self, *, in_channels: int, n_classes: int, depth: int, growth: int) -> None:
        super().__init__()
        if depth < 7 or (depth - 4) % 3:
            raise PruningError(f"depth must be 3 n + 4 with n of at least 1, got {depth}")
        width, stem = 16, 16  # section 3: 16 channels before the first block
        self.stem = nn.Conv2d(in_channels, stem, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for block in range(3):
            if block:
                blocks.append(Transition(width))
            layers = []
            for _ in range((depth - 4) // 3):
                layers.append(DenseLayer(width, growth))
                width += growth
            blocks.append(nn.Sequential(*layers))
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        x = functional.relu(self.bn(self.blocks(self.stem(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def densenet40(
    *, in_channels: int = 3, n_classes: int = 10, growth: int = 12, depth: int = 40
) -> nn.Module:
    """Return DenseNet-40 for 32x32 images, 1.0 million parameters."""
    return DenseNet(in_channels=in_channels, n_classes=n_classes, depth=depth, growth=growth)
