"""Residual networks for 32x32 images (He et al. 2016, section 4.2): ResNet-20, -32, -56."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst.models import scaled
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
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = (
                nn.Sequential(
                    nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
                )
                if projection
                else _Subsample(after - before)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class _ResNetCifar(nn.Module):
    def __init__(
        self, depth: int, classes: int, shape: tuple[int, int, int], width: float, projection: bool
    ) -> None:
        super().__init__()
        stages = [scaled(16, width), scaled(32, width), scaled(64, width)]
        channels = stages[0]
        self.conv = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        blocks = []
        for stage, after in enumerate(stages):
            for number in range((depth - 2) // 6):
                stride = 2 if stage and not number else 1
                blocks.append(_Block(channels, after, stride, projection))
                channels = after
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks(torch.relu(self.norm(self.conv(images))))
        return self.classifier(x.mean((2, 3)))


@register("resnet20", filters=())
def resnet20(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-20 with projection shortcuts: 270,896 prunable weights."""
    return _ResNetCifar(20, classes, shape, width, projection=True)


@register("resnet32", filters=())
def resnet32(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-32 with projection shortcuts."""
    return _ResNetCifar(32, classes, shape, width, projection=True)


@register("resnet20-a", filters=())
def resnet20_a(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-20 with shortcuts that have no parameters."""
    return _ResNetCifar(20, classes, shape, width, projection=False)


@register("resnet56-a", filters=())
def resnet56_a(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-56 with shortcuts that have no parameters."""
    return _ResNetCifar(56, classes, shape, width, projection=False)
