"""Residual networks of He et al. 2016 with four stages: ResNet-18 for CIFAR, ResNet-50."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gst.models import scaled
from gst.registry import register


def _normed(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(after)]


class _Residual(nn.Module):
    """A branch of convolutions beside a shortcut, which projects where shapes differ."""

    def __init__(self, branch: list[nn.Module], before: int, after: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)
        same = stride == 1 and before == after
        self.shortcut = nn.Sequential(*([] if same else _normed(before, after, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def _basic(before: int, planes: int, stride: int) -> tuple[_Residual, int]:
    branch = [*_normed(before, planes, 3, stride), nn.ReLU(), *_normed(planes, planes, 3)]
    return _Residual(branch, before, planes, stride), planes


def _bottleneck(before: int, planes: int, stride: int) -> tuple[_Residual, int]:
    after = 4 * planes
    branch = [*_normed(before, planes, 1), nn.ReLU(), *_normed(planes, planes, 3, stride)]
    branch += [nn.ReLU(), *_normed(planes, after, 1)]
    return _Residual(branch, before, after, stride), after


class _ResNet(nn.Module):
    def __init__(
        self, stem: nn.Module, channels: int, depths: tuple[int, ...], bottleneck: bool,
        classes: int,
    ) -> None:  # fmt: skip
        super().__init__()
        block = _bottleneck if bottleneck else _basic
        self.stem = stem
        before = channels
        blocks: list[nn.Module] = []
        for stage, depth in enumerate(depths):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                made, before = block(before, channels << stage, stride)
                blocks.append(made)
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(images)).mean((2, 3)))


@register("resnet18", filters=())
def resnet18(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-18 with a 3x3 stem and no first pool, for images of 32x32 pixels."""
    channels = scaled(64, width)
    stem = nn.Sequential(*_normed(shape[0], channels, 3), nn.ReLU())
    return _ResNet(stem, channels, (2, 2, 2, 2), bottleneck=False, classes=classes)


@register("resnet50", filters=())
def resnet50(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return ResNet-50 (its version with the stride in the 3x3 convolution)."""
    channels = scaled(64, width)
    stem = nn.Sequential(
        *_normed(shape[0], channels, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
    )
    return _ResNet(stem, channels, (3, 4, 6, 3), bottleneck=True, classes=classes)
