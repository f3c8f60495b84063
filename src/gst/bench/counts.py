"""What a training step computes, and what it moves at the least."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gst import recipe, registry
from gst.bench.ceilings import TYPES
from gst.bench.cohorts import BATCH, CLASSES
from gst.bench.records import Network, Precision
from gst.planning.networks import footprint

OPTIMISER = 5
"""Numbers, float32, that SGD with momentum moves a weight: it reads the weight, its gradient and
its momentum, and writes the weight and the momentum."""


def count(
    network: str,
    precision: Precision,
    shape: tuple[int, int, int],
    *,
    classes: int = CLASSES,
    batch: int = BATCH,
) -> Network:
    """Count the operations and bytes of one replicate's training step, from the layers' shapes.

    A convolution or dense layer is three products: its output, the gradient of its weights and
    that of its inputs; the last is not needed of layers that read the images. All have as many
    operations. Each reads two of inputs, weights and outputs, or their gradients, and writes the
    third, in the precision of the arithmetic. A batch norm likewise makes three passes over its
    inputs and outputs. The optimiser moves five float32 numbers a weight. All else (activations,
    pools, sums, second readings of a batch norm's inputs) is taken to be done on the way, so that
    the bytes are a lower bound for memory; what fits into caches may be faster.

    Args:
        network: Name of a model.
        precision: Of the arithmetic.
        shape: Channels, height and width of an image.
        classes: Number of classes.
        batch: Images a step.
    """
    settings = recipe.Network(name=network)
    operations = numbers = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal operations, numbers
        weight = layer.weight
        assert isinstance(weight, Tensor)
        passes = 3 if inputs[0].requires_grad else 2
        numbers += passes * (batch * (inputs[0].numel() + output.numel()) + weight.numel())
        if not isinstance(layer, nn.BatchNorm2d):
            operations += passes * 2 * output.numel() * weight[0].numel()

    with torch.device("meta"):
        factory = registry.load("gst.models", network)
        module = factory(classes=classes, shape=shape, width=settings.width).eval()
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                layer.register_forward_hook(add)
        module(torch.empty(1, *shape))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Network(
        network=network,
        precision=precision,
        shape=shape,
        parameters=parameters,
        forward_operations_per_image=footprint(settings, classes, shape).operations,
        training_operations_per_image=operations,
        bytes_per_step=numbers * TYPES[precision].itemsize
        + OPTIMISER * parameters * torch.float32.itemsize,
    )
