"""LeNet-300-100, the fully connected network of LeCun et al. 1998, and a smaller one."""

from __future__ import annotations

from collections import OrderedDict
from math import prod

from torch import nn

from gst.models import scaled
from gst.registry import register


def _dense(
    hidden: tuple[int, ...], classes: int, shape: tuple[int, int, int], width: float
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    units = prod(shape)
    for number, size in enumerate(hidden, start=1):
        layers[f"fc{number}"] = nn.Linear(units, scaled(size, width))
        layers[f"relu{number}"] = nn.ReLU()
        units = scaled(size, width)
    layers[f"fc{len(hidden) + 1}"] = nn.Linear(units, classes)
    return nn.Sequential(layers)


@register("lenet", filters=())
def lenet(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return LeNet-300-100: 266,200 prunable weights on MNIST."""
    return _dense((300, 100), classes, shape, width)


@register("lenet-digits", filters=())
def lenet_digits(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return a LeNet with hidden layers of 100 and 50 units, for images of 8x8 pixels."""
    return _dense((100, 50), classes, shape, width)
