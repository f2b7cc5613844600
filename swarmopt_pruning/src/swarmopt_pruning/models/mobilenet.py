"""MobileNetV2 for small images.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, table 2; as is the
rule for 32x32 images, the first convolution and the first of the stages with stride 2 keep the
extent.
"""

from torch import Tensor, nn

# Expansion, channels, blocks, stride (table 2).
TABLE = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, LAST = 32, 1280


class InvertedResidual(nn.Module):
    """A wide depthwise convolution between two narrow ends (figure 4).

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        expansion: width of the middle, in widths of the input.
        stride: of the depthwise convolution; the shortcut needs 1, and as many channels.
    """

    def __init__(self, n_in: int, n_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        middle = n_in * expansion
        expand = [*convolution(n_in, middle, 1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *expand,
            *convolution(middle, middle, 3, stride=stride, groups=middle),
            nn.Conv2d(middle, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_out, height / stride, width / stride)."""
        y: Tensor = self.body(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """Inverted residuals in seven stages.

    Args:
        in_channels: channels of the images.
        n_classes: length of the output.
        scale: all widths are multiplied by it.
        last: channels of the last convolution, which `scale` makes wider, but not narrower.
        stem_stride: stride of the first convolution.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        n_classes: int,
        scale: float,
        last: int = LAST,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        width = scaled(STEM, scale)
        self.stem = nn.Sequential(*convolution(in_channels, width, 3, stride=stem_stride))
        blocks = []
        for expansion, channels, n_blocks, stride in TABLE:
            for block in range(n_blocks):
                n_out = scaled(channels, scale)
                blocks.append(InvertedResidual(width, n_out, expansion, 1 if block else stride))
                width = n_out
        self.blocks = nn.Sequential(*blocks)
        last = scaled(last, max(1.0, scale))  # section 3.3: not made narrower
        self.last = nn.Sequential(*convolution(width, last, 1))
        self.fc = nn.Linear(last, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_classes) logits of (n, in_channels, height, width) images."""
        x = self.last(self.blocks(self.stem(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def convolution(
    n_in: int, n_out: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    """Return a convolution, batch normalisation and ReLU6."""
    layer = nn.Conv2d(
        n_in, n_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return layer, nn.BatchNorm2d(n_out), nn.ReLU6(inplace=True)


def scaled(width: int, scale: float) -> int:
    """Return a width times a factor, as a multiple of 8 and at most 10 % less."""
    new = max(8, int(width * scale + 4) // 8 * 8)
    return new + 8 if new < 0.9 * width * scale else new


def mobilenet_v2(*, in_channels: int = 3, n_classes: int = 10, scale: float = 1.0) -> nn.Module:
    """Return MobileNetV2 for 32x32 images, 2.2 million parameters."""
    return MobileNetV2(in_channels=in_channels, n_classes=n_classes, scale=scale)


def mobilenet_v2_s2(
    *, in_channels: int = 3, n_classes: int = 10, scale: float = 0.4, last: int = 256
) -> nn.Module:
    """Return a narrow MobileNetV2 with a stride of 2 in its stem."""
    return MobileNetV2(
        in_channels=in_channels, n_classes=n_classes, scale=scale, last=last, stem_stride=2
    )
