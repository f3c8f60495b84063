"""Parameters that pruning leaves, against published counts and counts by hand.

That they are those of a network which lacks the dead filters, tests/models/test_filters.py shows.
"""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch import Tensor, nn

from gst import models
from gst.pruning.size import parameters_left
from gst.recipe import Network, final_filters

VGG11 = (0.3, 0.3, 0.3, 0.9)
RESNET18 = (0.25, 0.4, 0.25, 0.95)
TABLE_C1 = (0.25, 0.8, 0.25, 0.95)


def built(name: str) -> nn.Module:
    network = Network.parse(json.dumps({"name": name}))
    return models.build(network, 10, (3, 32, 32), torch.Generator())


def masks_after(module: nn.Module, fractions: tuple[float, ...]) -> dict[str, Tensor]:
    """Return the masks of a schedule on the network's last layers; the first filters stay."""
    masks = {}
    parameters = dict(module.named_parameters())
    layers = module.filter_layers()[-len(fractions) :]
    for layer, fraction in zip(layers, fractions, strict=True):
        filters = module.get_submodule(layer.conv).out_channels
        alive = torch.arange(filters) < final_filters(fraction, filters)
        for name in map(".".join, itertools.product((layer.conv, layer.norm), ("weight", "bias"))):
            if name in parameters:
                like = parameters[name]
                masks[name] = alive.view(-1, *[1] * (like.dim() - 1)).expand_as(like)
    return masks


def reductions(name: str, fractions: tuple[float, ...]) -> tuple[float, float]:
    """Return the shares of the parameters that are gone by the two counts, in percent."""
    module = built(name)
    total = sum(p.numel() for p in module.parameters())
    own, physical = parameters_left(module, masks_after(module, fractions))
    return 100 * (1 - own / total), 100 * (1 - physical / total)


def test_published_reduction_of_vgg11() -> None:
    own, physical = reductions("vgg11", VGG11)
    assert round(own) == 42
    assert round(physical, 1) == 53.6


@pytest.mark.parametrize(("fractions", "published"), [(RESNET18, 46), (TABLE_C1, 59)])
def test_published_reduction_of_resnet18(fractions: tuple[float, ...], published: int) -> None:
    """Ours is larger by the projection's filters into dead channels, which the paper leaves."""
    _, physical = reductions("resnet18", fractions)
    dead = 512 - final_filters(fractions[1], 512)
    projected = 100 * dead * (256 + 2) / 11_173_962
    assert round(physical - projected) == published
    assert int(physical) == published


def test_resnet18_by_hand() -> None:
    """Convolutions of 3x3 and a projection of 1x1, each with a scale and a shift a filter."""
    module = built("resnet18")
    total = sum(p.numel() for p in module.parameters())
    kept = [final_filters(fraction, 512) for fraction in RESNET18]
    inputs = [256, 512, 512, 512]
    own = sum((512 - n) * (9 * i + 2) for n, i in zip(kept, inputs, strict=True))
    readers = sum(9 * (512 - n) * after for n, after in itertools.pairwise(kept))
    readers += (512 - kept[3]) * 10
    projected = (512 - kept[1]) * (256 + 2)
    assert parameters_left(module, masks_after(module, RESNET18)) == (
        total - own,
        total - own - readers - projected,
    )


def test_a_dense_layer_reads_every_pixel_of_a_channel() -> None:
    network = Network.parse('{"name": "vgg-digits", "width": 0.1}')
    module = models.build(network, 3, (1, 16, 16), torch.Generator())
    total = sum(p.numel() for p in module.parameters())
    alive = torch.tensor([True, False, True, True, False, True])
    own, physical = parameters_left(module, {"features.norm5.weight": alive})
    assert (own, physical) == (total - 2, total - 2 - 2 * 4 * 3)


def test_pruned_weights_take_nothing_along() -> None:
    module = built("resnet20")
    total = sum(p.numel() for p in module.parameters())
    mask = torch.ones_like(module.get_parameter("blocks.0.conv1.weight"), dtype=torch.bool)
    mask[3] = False
    assert parameters_left(module, {"blocks.0.conv1.weight": mask}) == (total - 144, total - 144)
    assert parameters_left(module, {}) == (total, total)
    assert mask.sum() == mask.numel() - 144


def test_a_network_without_prunable_filters() -> None:
    network = Network.parse('{"name": "lenet-digits"}')
    module = models.build(network, 10, (1, 8, 8), torch.Generator())
    mask = torch.rand(100, 64, generator=torch.Generator().manual_seed(0)) < 0.2
    left = 64 * 100 + 100 + 100 * 50 + 50 + 50 * 10 + 10 - int((~mask).sum())
    assert parameters_left(module, {"fc1.weight": mask}) == (left, left)
