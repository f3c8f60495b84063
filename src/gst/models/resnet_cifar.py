"""Residual networks of basic blocks for small images: ResNet-20, -32, -56, and -18.

Source: He et al. 2016, section 4.2; the widths and depths of ResNet-18 are those of its table 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst.models import FilterLayer, scaled
from gst.models.gate import GatedSum
from gst.models.norm import BatchNorm
from gst.registry import register


class _Subsample(nn.Module):
    """The shortcut without parameters (option A): every second pixel, channels of zeros."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int, projection: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = BatchNorm(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = BatchNorm(after)
        shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            shortcut = (
                nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), BatchNorm(after))
                if projection
                else _Subsample(after - before)
            )
        self.sum = GatedSum(shortcut, after)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.sum(self.norm2(self.conv2(y)), x))


class _ResNet(nn.Module):
    """A 3x3 stem, stages of basic blocks that halve the image from the second on, a dense layer.

    Args:
        stages: Channels of each stage.
        blocks: Number of blocks in each.
        classes: Number of classes.
        shape: Channels, height and width of an image.
        width: Factor on the number of channels.
        projection: Whether shortcuts between stages are 1x1 convolutions, or have no parameters.
    """

    def __init__(
        self,
        stages: Sequence[int],
        blocks: int,
        classes: int,
        shape: tuple[int, int, int],
        width: float,
        *,
        projection: bool,
    ) -> None:
        super().__init__()
        channels = scaled(stages[0], width)
        self.conv = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        self.norm = BatchNorm(channels)
        made = []
        for stage, wide in enumerate(stages):
            after = scaled(wide, width)
            for number in range(blocks):
                stride = 2 if stage and not number else 1
                made.append(_Block(channels, after, stride, projection))
                channels = after
        self.blocks = nn.Sequential(*made)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, C, H, W] to logits [B, classes]."""
        x = self.blocks(torch.relu(self.norm(self.conv(images))))
        return self.classifier(x.mean((2, 3)))

    def filter_layers(self) -> list[FilterLayer]:
        """Return both convolutions of every block, in network order."""
        convolutions = {
            name for name, layer in self.named_modules() if isinstance(layer, nn.Conv2d)
        }
        layers = []
        for number in range(len(self.blocks)):
            here, after = f"blocks.{number}", f"blocks.{number + 1}"
            readers = [f"{after}.conv1", f"{after}.sum.shortcut.0"]
            readers = [name for name in readers if name in convolutions] or ["classifier"]
            conv, norm, total = f"{here}.conv2", f"{here}.norm2", f"{here}.sum"
            layers += [
                FilterLayer(f"{here}.conv1", f"{here}.norm1", f"{here}.norm1", readers=(conv,)),
                FilterLayer(conv, norm, total, tuple(readers), gate=total),
            ]
        return layers


@register(
    "resnet20",
    filters=(
        16, 16, 16, 16, 16, 16,
        32, 32, 32, 32, 32, 32,
        64, 64, 64, 64, 64, 64,
    ),
)  # fmt: skip
def resnet20(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-20 with projection shortcuts: 270,896 prunable weights."""
    return _ResNet((16, 32, 64), 3, classes, shape, width, projection=True)


@register(
    "resnet20-a",
    filters=(
        16, 16, 16, 16, 16, 16,
        32, 32, 32, 32, 32, 32,
        64, 64, 64, 64, 64, 64,
    ),
)  # fmt: skip
def resnet20_a(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-20 with shortcuts that have no parameters."""
    return _ResNet((16, 32, 64), 3, classes, shape, width, projection=False)


@register(
    "resnet32",
    filters=(
        16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
        32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
        64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    ),
)  # fmt: skip
def resnet32(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-32 with projection shortcuts."""
    return _ResNet((16, 32, 64), 5, classes, shape, width, projection=True)


@register(
    "resnet32-a",
    filters=(
        16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
        32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
        64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    ),
)  # fmt: skip
def resnet32_a(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-32 with shortcuts that have no parameters."""
    return _ResNet((16, 32, 64), 5, classes, shape, width, projection=False)


@register(
    "resnet56",
    filters=(
        16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
        32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
        64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    ),
)  # fmt: skip
def resnet56(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-56 with projection shortcuts."""
    return _ResNet((16, 32, 64), 9, classes, shape, width, projection=True)


@register(
    "resnet56-a",
    filters=(
        16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
        32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
        64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    ),
)  # fmt: skip
def resnet56_a(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-56 with shortcuts that have no parameters."""
    return _ResNet((16, 32, 64), 9, classes, shape, width, projection=False)


@register(
    "resnet18",
    filters=(
        64, 64, 64, 64,
        128, 128, 128, 128,
        256, 256, 256, 256,
        512, 512, 512, 512,
    ),
)  # fmt: skip
def resnet18(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-18 with a 3x3 stem and no first pool, for images of 32x32 pixels."""
    return _ResNet((64, 128, 256, 512), 2, classes, shape, width, projection=True)
