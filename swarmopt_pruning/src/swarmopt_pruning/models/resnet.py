"""Residual networks for small images.

He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2, with the zero-padded
shortcut A or the projection B where a stage begins.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.errors import PruningError


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        stride: of the first convolution and the shortcut.
        shortcut: "A" subsamples and adds zero channels, "B" projects by a 1x1 convolution; where
            nothing changes the shortcut is the identity.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, shortcut: Literal["A", "B"]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module
        if stride == 1 and n_in == n_out:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            self.shortcut = ZeroPadding(n_out - n_in, stride)
        else:
            self.shortcut = Projection(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_out, height / stride, width / stride) for (n, n_in, height, width)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class ZeroPadding(nn.Module):
    """Shortcut A: every `stride`-th pixel, and zero channels on both sides."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, added // 2, added - added // 2)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the subsampled and padded activation."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], self.padding)


class Projection(nn.Module):
    """Shortcut B: a 1x1 convolution and batch normalisation."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)
        self.bn = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return the projected activation."""
        projected: Tensor = self.bn(self.conv(x))
        return projected


class ResNet(nn.Module):
    """Residual network of three stages for small images.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        widths: channels of the three stages.
        n_blocks: blocks in each stage.
        shortcut: "A" (zero-padded) or "B" (projection).
        stem_stride: stride of the first convolution.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        n_classes: int,
        widths: Sequence[int],
        n_blocks: int,
        shortcut: Literal["A", "B"],
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        if shortcut not in ("A", "B"):
            raise PruningError(f"shortcut must be 'A' or 'B', got {shortcut!r}")
        if len(widths) != 3:
            raise PruningError(f"widths must be three numbers, one a stage, got {widths!r}")
        self.stem = nn.Conv2d(in_channels, widths[0], 3, stride=stem_stride, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(widths[0])
        sizes = [widths[0], *widths]
        stages = [
            nn.Sequential(
                *(
                    BasicBlock(n_out if block else n_in, n_out, 1 if block else stride, shortcut)
                    for block in range(n_blocks)
                )
            )
            for n_in, n_out, stride in zip(sizes, widths, (1, 2, 2), strict=False)
        ]
        self.layer1, self.layer2, self.layer3 = stages
        self.fc = nn.Linear(widths[2], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        x = functional.relu(self.stem_bn(self.stem(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def digits_resnet(
    *,
    in_channels: int = 1,
    n_classes: int = 10,
    widths: Sequence[int] = (12, 24, 48),
    n_blocks: int = 1,
) -> nn.Module:
    """Return a residual network for 8x8 images, 43 thousand parameters."""
    return ResNet(
        in_channels=in_channels,
        n_classes=n_classes,
        widths=widths,
        n_blocks=n_blocks,
        shortcut="B",
    )


def resnet20(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    shortcut: Literal["A", "B"] = "A",
    stem_stride: int = 1,
) -> nn.Module:
    """Return ResNet-20 for 32x32 images, 0.27 million parameters."""
    return ResNet(
        in_channels=in_channels,
        n_classes=n_classes,
        widths=widths,
        n_blocks=3,
        shortcut=shortcut,
        stem_stride=stem_stride,
    )


def resnet20_s2(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    shortcut: Literal["A", "B"] = "A",
) -> nn.Module:
    """Return ResNet-20 with a stride of 2 in its stem: 8.5 million MACs for 28x28 images."""
    return resnet20(
        in_channels=in_channels,
        n_classes=n_classes,
        widths=widths,
        shortcut=shortcut,
        stem_stride=2,
    )


def resnet32(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    shortcut: Literal["A", "B"] = "A",
    stem_stride: int = 1,
) -> nn.Module:
    """Return ResNet-32 for 32x32 images, 0.46 million parameters."""
    return ResNet(
        in_channels=in_channels,
        n_classes=n_classes,
        widths=widths,
        n_blocks=5,
        shortcut=shortcut,
        stem_stride=stem_stride,
    )


def resnet56(
    *,
    in_channels: int = 3,
    n_classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    shortcut: Literal["A", "B"] = "A",
    stem_stride: int = 1,
) -> nn.Module:
    """Return ResNet-56 for 32x32 images, 0.85 million parameters."""
    return ResNet(
        in_channels=in_channels,
        n_classes=n_classes,
        widths=widths,
        n_blocks=9,
        shortcut=shortcut,
        stem_stride=stem_stride,
    )
