"""What a network costs to run and to keep, from the shapes of its layers alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

import torch
from torch import Tensor, nn

from gst import registry
from gst.recipe import Network
from gst.training.cohort import prunable


@dataclass(frozen=True)
class Footprint:
    """What one replicate of a network takes.

    Attributes:
        operations: Additions and multiplications of one image's forward pass, those of
            convolutions and dense layers; all else is small beside them.
        state_bytes: Bytes of its weights and buffers.
        prunable: Number of weights that can be pruned.
    """

    operations: int
    state_bytes: int
    prunable: int


@cache
def footprint(network: Network, classes: int, shape: tuple[int, int, int]) -> Footprint:
    """Return what a network takes, without giving it any memory.

    Args:
        network: Name and width.
        classes: Number of classes.
        shape: Channels, height and width of an image.

    Raises:
        KeyError: If no model has this name.
    """
    operations = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal operations
        weight = layer.weight
        assert isinstance(weight, Tensor)
        operations += 2 * output.numel() * prod(weight.shape[1:])

    with torch.device("meta"):
        factory = registry.load("gst.models", network.name)
        module = factory(classes=classes, shape=shape, width=network.width).eval()
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        module(torch.empty(1, *shape))
    kept = [*module.parameters(), *module.buffers()]
    return Footprint(
        operations=operations,
        state_bytes=sum(tensor.numel() * tensor.element_size() for tensor in kept),
        prunable=sum(module.get_parameter(name).numel() for name in prunable(module, network)),
    )
