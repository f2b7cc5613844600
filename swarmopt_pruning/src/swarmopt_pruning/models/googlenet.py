"""GoogLeNet for small images.

Szegedy et al., "Going Deeper with Convolutions", 2015, table 1, from the first inception module on,
behind one 3x3 convolution. As is the rule for small images, batch normalisation follows every
convolution, and a branch of 5x5 convolutions is two of 3x3 (Szegedy et al., "Rethinking the
Inception Architecture", 2016); there are no auxiliary classifiers.
"""

import torch
from torch import Tensor, nn

# Channels of 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5 and pooling branch (table 1).
TABLE = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
STEM = 192


class Inception(nn.Module):
    """Four branches side by side, their channels concatenated.

    Args:
        n_in: channels of the input.
        widths: six numbers, as in `TABLE`.
    """

    def __init__(self, n_in: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        single, reduce3, out3, reduce5, out5, pooled = widths
        self.branch1 = convolution(n_in, single, 1)
        self.branch3 = nn.Sequential(convolution(n_in, reduce3, 1), convolution(reduce3, out3, 3))
        self.branch5 = nn.Sequential(
            convolution(n_in, reduce5, 1),
            convolution(reduce5, out5, 3),
            convolution(out5, out5, 3),
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), convolution(n_in, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels of all branches, height, width)."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.pooled(x)], 1)


class GoogLeNet(nn.Module):
    """Nine inception modules in three stages.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        scale: all widths are multiplied by it.
    """

    def __init__(self, *, in_channels: int, n_classes: int, scale: float) -> None:
        super().__init__()
        n_in = scaled(STEM, scale)
        self.stem = convolution(in_channels, n_in, 3)
        stages: dict[str, list[nn.Module]] = {"3": [], "4": [], "5": []}
        for name, row in TABLE.items():
            widths = tuple(scaled(width, scale) for width in row)
            stages[name[0]].append(Inception(n_in, widths))
            n_in = widths[0] + widths[2] + widths[4] + widths[5]
        self.stage3, self.stage4, self.stage5 = (nn.Sequential(*s) for s in stages.values())
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.fc = nn.Linear(n_in, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        x = self.pool(self.stage3(self.stem(x)))
        x = self.stage5(self.pool(self.stage4(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def convolution(n_in: int, n_out: int, kernel: int) -> nn.Sequential:
    """Return a convolution that keeps the extent, with batch normalisation and ReLU."""
    layer = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


def scaled(width: int, scale: float) -> int:
    """Return a width times a factor, at least 1."""
    return max(1, round(width * scale))


def googlenet(*, in_channels: int = 3, n_classes: int = 10, scale: float = 1.0) -> nn.Module:
    """Return GoogLeNet for 32x32 images, 6.2 million parameters."""
    return GoogLeNet(in_channels=in_channels, n_classes=n_classes, scale=scale)
