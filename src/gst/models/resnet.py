"""ResNet-50, of bottleneck blocks (He et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gst.models import scaled
from gst.models.norm import BatchNorm
from gst.registry import register


def _normed(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return [conv, BatchNorm(after)]


class _Bottleneck(nn.Module):
    """A branch of three convolutions beside a shortcut, which projects where shapes differ."""

    def __init__(self, before: int, planes: int, stride: int) -> None:
        super().__init__()
        after = 4 * planes
        branch = [*_normed(before, planes, 1), nn.ReLU(), *_normed(planes, planes, 3, stride)]
        self.branch = nn.Sequential(*branch, nn.ReLU(), *_normed(planes, after, 1))
        same = stride == 1 and before == after
        self.shortcut = nn.Sequential(*([] if same else _normed(before, after, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


class _ResNet50(nn.Module):
    def __init__(self, channels: int, classes: int, image_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_normed(image_channels, channels, 7, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        )
        before = channels
        blocks = []
        for stage, depth in enumerate((3, 4, 6, 3)):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                blocks.append(_Bottleneck(before, channels << stage, stride))
                before = 4 * channels << stage
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(images)).mean((2, 3)))


@register("resnet50", filters=())
def resnet50(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-50 (its version with the stride in the 3x3 convolution)."""
    return _ResNet50(scaled(64, width), classes, shape[0])
