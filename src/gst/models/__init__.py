"""Networks, each registered by name in a module of this package.

A factory takes the number of classes, the shape (C, H, W) of an image and a factor on its
width, and returns an ordinary module that maps images [B, C, H, W] to logits [B, classes].
A network whose filters can be pruned while it trains also has `filter_layers()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from gst import registry
from gst.models.dropout import Dropout
from gst.recipe import Network


@dataclass(frozen=True)
class FilterLayer:
    """A convolution whose filters can be pruned, and what belongs to its channels.

    Modules are named as in `named_modules`.

    Attributes:
        conv: The convolution.
        norm: The batch norm that follows it.
        activation: The module whose output is the channels' activation before its ReLU.
        readers: The convolutions and dense layers whose inputs these channels are.
        gate: The `GatedSum` of the channels and a shortcut, which holds that shortcut's parameters
            and no others, each with one row a channel; None if no shortcut ends in them.
    """

    conv: str
    norm: str
    activation: str
    readers: tuple[str, ...]
    gate: str | None = None


def scaled(units: int, width: float) -> int:
    """Return a layer's number of units or channels at a factor on the network's width."""
    return max(1, round(units * width))


def build(
    network: Network, classes: int, shape: tuple[int, int, int], generator: torch.Generator
) -> nn.Module:
    """Build a network and initialise it.

    Args:
        network: Name, width, initialisation and dropout.
        classes: Number of classes.
        shape: Channels, height and width of an image.
        generator: Fresh source of the initial weights; its seed alone decides them.

    Returns:
        The network, on the CPU, in training mode.

    Raises:
        KeyError: If no model has this name.
    """
    factory: Callable[..., nn.Module] = registry.load(__name__, network.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        module = factory(classes=classes, shape=shape, width=network.width)
    _INITIALISATIONS[network.init](module, generator)
    if network.dropout:
        dense = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        Dropout.attach(network.dropout, dense[-1])
    return module


@torch.no_grad()
def _he(module: nn.Module, generator: torch.Generator) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(
                layer.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def _openlth(module: nn.Module, generator: torch.Generator) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.weight.uniform_(generator=generator)
            layer.bias.zero_()


def _pytorch(module: nn.Module, generator: torch.Generator) -> None:
    pass  # what the constructors drew


_INITIALISATIONS = {"he": _he, "openlth": _openlth, "pytorch": _pytorch}
