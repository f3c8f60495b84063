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
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet56", 0.85)],
)
def test_counts_of_parameters_of_he_et_al(name: str, millions: float) -> None:
    """Their networks have option A; projections from 16 to 32 to 64 channels come on top."""
    whole, without = (sum(p.numel() for p in built(n).parameters()) for n in (name, f"{name}-a"))
    assert round(without / 1e6, 2) == millions
    assert whole - without == 16 * 32 + 32 * 64 + 2 * (32 + 64)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_173_962),
        ("vgg11", 9_231_114),
        ("vgg16", 14_728_266),
        ("vgg19", 20_040_522),
    ],
)
def test_counts_of_parameters_on_cifar(name: str, parameters: int) -> None:
    """Those that kuangliu/pytorch-cifar is known for."""
    assert sum(p.numel() for p in built(name).parameters()) == parameters


@pytest.mark.parametrize("width", [1.0, 0.3, 0.07])
@pytest.mark.parametrize("name", NAMES)
def test_filters_are_as_the_registry_says(name: str, width: float) -> None:
    facts = registry.find("gst.models", name).facts["filters"]
    module = built(name, width)
    layers = module.filter_layers() if hasattr(module, "filter_layers") else []
    buffers = dict(module.named_buffers())
    assert len(layers) == len(facts)
    for layer, filters in zip(layers, facts, strict=True):
        count = max(1, round(filters * width))
        assert module.get_submodule(layer.conv).out_channels == count
        assert module.get_submodule(layer.norm).num_features == count
        assert layer.gate is None or torch.equal(buffers[f"{layer.gate}.gate"], torch.ones(count))


@pytest.mark.parametrize("name", ["resnet18", "resnet20-a", "resnet20", "vgg-digits"])
def test_networks_for_images_of_8_by_8_pixels(name: str) -> None:
    module = models.build(Network(name=name, width=0.1), 10, (1, 8, 8), torch.Generator())
    module(torch.randn(4, 1, 8, 8)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in module.parameters())


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


@pytest.mark.parametrize("name", ["vgg-digits", "resnet18"])
def test_pytorch_initialisation(name: str) -> None:
    """Uniform in (-a, a) with a = 1 / sqrt(inputs), biases too; batch norm scales by 1."""
    for layer in built(name, init="pytorch").modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = layer.weight[0].numel() ** -0.5
            assert layer.weight.abs().max() <= bound
            assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.15)
            assert layer.bias is None or 0 < layer.bias.abs().max() <= bound
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all() and (layer.bias == 0).all()


def test_a_vgg_too_deep_for_its_images_says_so() -> None:
    network = Network(name="vgg11")
    with pytest.raises(ValueError, match="halves the image 5 times; 8 pixels are too few"):
        models.build(network, 10, (1, 8, 8), torch.Generator())


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(KeyError, match="no 'vgg12' among models; the nearest are: vgg1"):
        models.build(Network(name="vgg12"), 10, (3, 32, 32), torch.Generator())
