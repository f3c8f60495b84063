"""Registered networks: shapes, published sizes, initialisation, the facts beside their names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gst import models, registry
from gst.recipe import Network

SHAPES = {"lenet": (1, 28, 28), "lenet-digits": (1, 8, 8), "vgg-digits": (1, 8, 8)}
NAMES = sorted(registry.entries("gst.models"))


def built(name: str, width: float = 1.0, init: str = "he", seed: int = 0) -> nn.Module:
    """Build a network for its usual images and ten classes."""
    network = Network.parse(f'{{"name": "{name}", "width": {width}, "init": "{init}"}}')
    generator = torch.Generator().manual_seed(seed)
    return models.build(network, 10, SHAPES.get(name, (3, 32, 32)), generator)


@pytest.mark.parametrize("width", [1.0, 0.3])
@pytest.mark.parametrize("name", NAMES)
def test_images_become_logits(name: str, width: float) -> None:
    module = built(name, width).eval()
    images = torch.randn(2, *SHAPES.get(name, (3, 32, 32)))
    with torch.inference_mode():
        assert module(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "prunable"),
    [("lenet", 266_200), ("resnet20", 270_896), ("vgg16", 14_715_584)],
)
def test_openlth_counts_of_prunable_weights(name: str, prunable: int) -> None:
    layers = [m for m in built(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(layer.weight.numel() for layer in layers) == prunable


@pytest.mark.parametrize(
    ("name", "millions"), [("resnet20-a", 0.27), ("resnet32", 0.46), ("resnet56-a", 0.85)]
)
def test_published_parameter_counts(name: str, millions: float) -> None:
    assert sum(p.numel() for p in built(name).parameters()) / 1e6 == pytest.approx(
        millions, rel=0.03
    )


@pytest.mark.parametrize("name", NAMES)
def test_filters_are_as_the_registry_says(name: str) -> None:
    facts = registry.find("gst.models", name).facts["filters"]
    module = built(name)
    layers = module.filter_layers() if hasattr(module, "filter_layers") else []
    convolutions = [module.get_submodule(layer.conv) for layer in layers]
    assert tuple(conv.out_channels for conv in convolutions) == tuple(facts)
    for layer in layers:
        assert module.get_submodule(layer.norm).num_features == (
            module.get_submodule(layer.conv).out_channels
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_decides_the_start(name: str) -> None:
    first, again, other = built(name, seed=1), built(name, seed=1), built(name, seed=2)
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not all(map(torch.equal, first.parameters(), other.parameters()))


def test_he_initialisation() -> None:
    conv = built("vgg11").get_submodule("features.conv8")
    norm = built("vgg11").get_submodule("features.norm8")
    assert conv.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert (conv.bias == 0).all() and (norm.weight == 1).all() and (norm.bias == 0).all()


def test_openlth_initialisation() -> None:
    module = built("vgg16", init="openlth")
    dense, norm = module.get_submodule("classifier"), module.get_submodule("features.norm8")
    assert dense.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.05)
    assert norm.weight.min() > 0 and norm.weight.max() < 1
    assert norm.weight.mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_vgg_too_deep_for_its_images_says_so() -> None:
    network = Network(name="vgg11")
    with pytest.raises(ValueError, match="halves the image 5 times; 8 pixels are too few"):
        models.build(network, 10, (1, 8, 8), torch.Generator())


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(KeyError, match="no 'vgg12' among models; the nearest are: vgg1"):
        models.build(Network(name="vgg12"), 10, (3, 32, 32), torch.Generator())
