"""ShuffleNet V1 and V2 for small images.

Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
2018 (V1), and Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design", 2018 (V2). As is the rule for 32x32 images, the first convolution keeps the extent and no
pooling follows it.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.errors import PruningError

STEM = 24
REPEATS = (4, 8, 4)  # V1 table 1, V2 table 5


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Return the channels of all groups in turn (V1, section 3.1): (n, channels, ...)."""
    n, channels, height, width = x.shape
    blocks = x.view(n, groups, channels // groups, height, width)
    return blocks.transpose(1, 2).reshape(n, channels, height, width)


class GroupedUnit(nn.Module):
    """Unit of V1: grouped 1x1, shuffle, depthwise 3x3, grouped 1x1, beside a shortcut (figure 2).

    Args:
        n_in: channels of the input.
        n_out: channels of the output, more than `n_in` where the stride is 2.
        groups: of the 1x1 convolutions.
        stride: 1 adds to the input; 2 is concatenated with the pooled input.
        first: the first 1x1 convolution is not grouped: its input has few channels (section 3.2).
    """

    def __init__(self, n_in: int, n_out: int, groups: int, stride: int, *, first: bool) -> None:
        super().__init__()
        middle, made = n_out // 4, n_out if stride == 1 else n_out - n_in
        self.groups = groups
        self.stride = stride
        self.reduce = nn.Sequential(
            nn.Conv2d(n_in, middle, 1, groups=1 if first else groups, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
        )
        self.depthwise = depthwise(middle, stride)
        self.restore = nn.Sequential(
            nn.Conv2d(middle, made, 1, groups=groups, bias=False), nn.BatchNorm2d(made)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_out, height / stride, width / stride)."""
        y = self.restore(self.depthwise(shuffle(self.reduce(x), self.groups)))
        if self.stride == 1:
            return functional.relu(x + y)
        return functional.relu(torch.cat([functional.avg_pool2d(x, 3, 2, 1), y], dim=1))


class SplitUnit(nn.Module):
    """Unit of V2: one half of the channels passes by, the other is worked on (figure 3).

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        stride: 1 splits the input, 2 works on all of it in both branches.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        half = n_out // 2
        self.stride = stride
        self.passed: nn.Module = nn.Identity()
        if stride == 2:
            self.passed = nn.Sequential(*depthwise(n_in, 2), *pointwise(n_in, half))
        self.worked = nn.Sequential(
            *pointwise(n_in if stride == 2 else half, half),
            *depthwise(half, stride),
            *pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_out, height / stride, width / stride)."""
        by, through = x.chunk(2, dim=1) if self.stride == 1 else (x, x)
        return shuffle(torch.cat([self.passed(by), self.worked(through)], dim=1), 2)


class ShuffleNet(nn.Module):
    """Stem, three stages of units, and for V2 one more 1x1 convolution.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        widths: channels of the three stages, for V2 also those of the last convolution.
        groups: of the 1x1 convolutions of V1; 0 for V2.
    """

    def __init__(
        self, *, in_channels: int, n_classes: int, widths: Sequence[int], groups: int
    ) -> None:
        super().__init__()
        expected = 3 if groups else 4
        if len(widths) != expected:
            raise PruningError(f"widths must be {expected} numbers, got {widths!r}")
        if any(width % (4 * max(1, groups)) for width in widths[:3]):
            raise PruningError(f"widths must be multiples of {4 * max(1, groups)}, got {widths!r}")
        if groups and any(b <= a for a, b in itertools.pairwise((STEM, *widths))):
            raise PruningError(
                f"widths must each be wider than the one before, from {STEM} on, got {widths!r}"
            )
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, STEM, 3, padding=1, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(inplace=True),
        )
        n_in = STEM
        stages: list[nn.Module] = []
        for n_out, repeats in zip(widths, REPEATS, strict=False):
            units: list[nn.Module] = []
            for unit in range(repeats):
                stride = 1 if unit else 2
                if groups:
                    first = not stages and not units
                    units.append(GroupedUnit(n_in, n_out, groups, stride, first=first))
                else:
                    units.append(SplitUnit(n_in, n_out, stride))
                n_in = n_out
            stages.append(nn.Sequential(*units))
        self.stages = nn.Sequential(*stages)
        self.last = nn.Identity() if groups else nn.Sequential(*pointwise(n_in, widths[3]))
        self.fc = nn.Linear(n_in if groups else widths[3], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        x = self.last(self.stages(self.stem(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def depthwise(width: int, stride: int) -> nn.Sequential:
    """Return a depthwise 3x3 convolution with batch normalisation."""
    layer = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(width))


def pointwise(n_in: int, n_out: int) -> nn.Sequential:
    """Return a 1x1 convolution with batch normalisation and ReLU."""
    layer = nn.Conv2d(n_in, n_out, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


def shufflenet_v1(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (240, 480, 960),
    groups: int = 3,
) -> nn.Module:
    """Return ShuffleNet V1 1x with three groups for 32x32 images, 0.9 million parameters."""
    return ShuffleNet(in_channels=in_channels, n_classes=n_classes, widths=widths, groups=groups)


def shufflenet_v2(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (116, 232, 464, 1024),
) -> nn.Module:
    """Return ShuffleNet V2 1x for 32x32 images, 1.3 million parameters."""
    return ShuffleNet(in_channels=in_channels, n_classes=n_classes, widths=widths, groups=0)
