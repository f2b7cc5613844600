"""One network of a few hundred parameters for each way that channels hang together.

They classify images of 8x8 pixels and more, and are there to try pruning on, not to be good.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.models.densenet import DenseNet
from swarmopt_pruning.models.googlenet import Inception
from swarmopt_pruning.models.mobilenet import InvertedResidual
from swarmopt_pruning.models.resnet import ResNet
from swarmopt_pruning.models.shufflenet import GroupedUnit, SplitUnit


def conv(n_in: int, n_out: int, kernel: int = 3, *, stride: int = 1, groups: int = 1) -> nn.Module:
    """Return a convolution with batch normalisation and ReLU."""
    layer = nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU())


class Classifier(nn.Module):
    """A body, global average pooling and a linear layer.

    Args:
        body: takes (n, in_channels, height, width), returns (n, width, ...).
        width: channels of its result.
        n_classes: length of the output.
    """

    def __init__(self, body: nn.Module, width: int, n_classes: int) -> None:
        super().__init__()
        self.body = body
        self.fc = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits."""
        logits: Tensor = self.fc(self.body(x).flatten(2).mean(2))
        return logits


class Bottleneck(nn.Module):
    """Grouped convolution between two 1x1 ones (Xie et al., "Aggregated Residual ...", 2017)."""

    def __init__(self, width: int, middle: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, middle, 1),
            conv(middle, middle, groups=groups),
            nn.Conv2d(middle, width, 1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, width, height, width of the image)."""
        return functional.relu(x + self.body(x))


class SqueezeExcite(nn.Module):
    """Channels scaled by what all of them say (Hu et al., "Squeeze-and-Excitation ...", 2018)."""

    def __init__(self, width: int, middle: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, middle, 1), nn.Conv2d(middle, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled activation."""
        scale = functional.silu(self.down(functional.adaptive_avg_pool2d(x, 1)))
        return x * torch.sigmoid(self.up(scale))


class UNet(nn.Module):
    """One step down and up again (Ronneberger et al., "U-Net", 2015)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.before, self.below = conv(in_channels, 6), conv(6, 8)
        self.up = nn.ConvTranspose2d(8, 5, 2, stride=2)
        self.after = conv(11, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 7, height, width)."""
        x = self.before(x)
        risen = self.up(self.below(functional.max_pool2d(x, 2)))
        out: Tensor = self.after(torch.cat([risen, x], dim=1))
        return out


class Shared(nn.Module):
    """A convolution that runs twice, and one that borrows the weight of another."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem, self.step = conv(in_channels, 6), nn.Conv2d(6, 6, 3, padding=1)
        self.lends, self.borrows = nn.Conv2d(6, 7, 1), nn.Conv2d(6, 7, 1)
        self.borrows.weight = self.lends.weight

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 7, height, width)."""
        x = functional.relu(self.step(functional.relu(self.step(self.stem(x)))))
        out: Tensor = functional.relu(self.borrows(x)) * self.lends(x)
        return out


class Functional(nn.Module):
    """Convolutions as functions of raw parameters, and a scale for each channel."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(6, in_channels, 3, 3) / 3)
        self.second = nn.Parameter(torch.randn(8, 6, 3, 3) / 5)
        self.bias = nn.Parameter(torch.zeros(6))
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 8, height, width)."""
        x = functional.relu(functional.conv2d(x, self.first, self.bias, padding=1))
        x = functional.conv2d(x, self.second, padding=1)
        return functional.relu(x * self.scale.exp()[:, None, None])


class Signal(nn.Module):
    """One-dimensional convolutions over the pixels in a row."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(in_channels, 6, 5, padding=2), nn.BatchNorm1d(6)
        self.second = nn.Conv1d(6, 8, 3, padding=2, dilation=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 8, height * width)."""
        x = functional.relu(self.norm(self.first(x.flatten(2))))
        return functional.relu(self.second(functional.max_pool1d(x, 2)))


class Normalised(nn.Module):
    """Group normalisation, PReLU and layer normalisation over the channels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first, self.groups = nn.Conv2d(in_channels, 12, 3), nn.GroupNorm(4, 12)
        self.slopes = nn.PReLU(12)
        self.second, self.third = conv(12, 6), conv(6, 8)
        self.layer = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 8, pixels)."""
        x = self.third(self.second(self.slopes(self.groups(self.first(x)))))
        out: Tensor = self.layer(x.flatten(2).transpose(1, 2)).transpose(1, 2)
        return out


class Flat(nn.Module):
    """A linear layer over channels and pixels, and a decision on the size of the image."""

    def __init__(self, in_channels: int, n_classes: int) -> None:
        super().__init__()
        self.first, self.second = conv(in_channels, 6), conv(6, 4)
        self.hidden, self.fc = nn.Linear(4 * 16, 9), nn.Linear(9, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits."""
        x = self.first(x)
        if x.shape[-1] > 4:
            x = functional.adaptive_max_pool2d(x, 4)
        logits: Tensor = self.fc(functional.relu(self.hidden(torch.flatten(self.second(x), 1))))
        return logits


def _residual(shortcut: str) -> Callable[[int, int], nn.Module]:
    def make(in_channels: int, n_classes: int) -> nn.Module:
        return ResNet(
            in_channels=in_channels,
            n_classes=n_classes,
            widths=(4, 6, 8),
            n_blocks=1,
            shortcut="A" if shortcut == "A" else "B",
        )

    return make


PATTERNS: dict[str, Callable[[int, int], nn.Module]] = {
    "residual-a": _residual("A"),
    "residual-b": _residual("B"),
    "concat": lambda i, n: Classifier(
        nn.Sequential(conv(i, 8), Inception(8, (3, 4, 5, 2, 3, 2)), conv(13, 6)), 6, n
    ),
    "dense": lambda i, n: DenseNet(in_channels=i, n_classes=n, depth=10, growth=4),
    "depthwise": lambda i, n: Classifier(
        nn.Sequential(conv(i, 4), InvertedResidual(4, 4, 2, 1), InvertedResidual(4, 6, 2, 2)), 6, n
    ),
    "squeeze-excite": lambda i, n: Classifier(
        nn.Sequential(conv(i, 8), SqueezeExcite(8, 4), conv(8, 6)), 6, n
    ),
    "grouped": lambda i, n: Classifier(
        nn.Sequential(conv(i, 8), Bottleneck(8, 16, 4), Bottleneck(8, 16, 4)), 8, n
    ),
    "shuffle": lambda i, n: Classifier(
        nn.Sequential(
            conv(i, 12),
            GroupedUnit(12, 56, 2, 2, first=True),
            GroupedUnit(56, 56, 2, 1, first=False),
            GroupedUnit(56, 112, 2, 2, first=False),
        ),
        112,
        n,
    ),
    "split": lambda i, n: Classifier(
        nn.Sequential(conv(i, 8), SplitUnit(8, 16, 2), SplitUnit(16, 16, 1), conv(16, 8, 1)), 8, n
    ),
    "unet": lambda i, n: Classifier(UNet(i), 7, n),
    "shared": lambda i, n: Classifier(Shared(i), 7, n),
    "functional": lambda i, n: Classifier(Functional(i), 8, n),
    "signal": lambda i, n: Classifier(Signal(i), 8, n),
    "norms": lambda i, n: Classifier(Normalised(i), 8, n),
    "flat": Flat,
}
"""Makes a network for a number of input channels and of classes, by the pattern's name."""


def tiny(pattern: str) -> Callable[..., nn.Module]:
    """Return the function that builds the network of a pattern by keyword arguments."""

    def make(*, in_channels: int = 3, n_classes: int = 10) -> nn.Module:
        return PATTERNS[pattern](in_channels, n_classes)

    make.__doc__ = f"Return a tiny network for the pattern {pattern!r}."
    return make
