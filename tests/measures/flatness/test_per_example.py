from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gst import models, registry
from gst.measures.flatness import per_example
from gst.measures.flatness.loss import Loss
from gst.measures.flatness.per_example import by_example, by_layer, has_rules, squared_norms
from gst.models.gate import GatedSum
from gst.recipe import Network

NETWORKS = [Network(name=name, width=0.1) for name in sorted(registry.entries("gst.models"))]
NETWORKS.append(Network(name="lenet", width=0.1, dropout=0.5))


def gradients(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Take one backward pass an example, by a way that shares no code with `Loss`, [N, P]."""
    module = copy.deepcopy(module).eval()
    parameters = list(module.parameters())
    rows = []
    for image, label in zip(images, labels, strict=True):
        own = torch.autograd.grad(F.cross_entropy(module(image[None]), label[None]), parameters)
        rows.append(torch.cat([part.flatten() for part in own]))
    return torch.stack(rows)


def randomised(module: nn.Module, shape: tuple[int, ...], examples: int = 5) -> tuple[Any, ...]:
    """Return a network in float64, images, labels, and a mask of half of its weights.

    No vector of weights and no statistic is its initial one; the statistics are near those of the
    images, so that gradients neither vanish nor explode.
    """
    random = torch.Generator().manual_seed(1)

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=random, dtype=torch.float64)

    module.double()
    images = torch.randn(examples, *shape, generator=random, dtype=torch.float64)
    for parameter in module.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.5 * uniform(*parameter.shape)
    for layer in module.eval().modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train().momentum = 0.9
    with torch.no_grad():
        module(images)
    for layer in module.modules():
        if isinstance(layer, GatedSum):
            layer.close(uniform(*layer.gate.shape))
    mask = uniform(sum(parameter.numel() for parameter in module.parameters())) < 0.5
    return module, images, torch.randint(0, 3, (examples,), generator=random), mask


def check(found: tuple[Tensor, Tensor], rows: Tensor, mask: Tensor | None) -> None:
    """Hold squared norms and the mean gradient against all gradients [N, P]."""
    free = rows if mask is None else rows[:, mask.bool()]
    torch.testing.assert_close(found[0], free.square().sum(1), rtol=1e-10, atol=0)
    torch.testing.assert_close(found[1], free.mean(0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_network_layer_by_layer_and_otherwise(network: Network) -> None:
    shape = (1, 8, 8) if "digits" in network.name else (3, 32, 32)
    built = models.build(network, 3, shape, torch.Generator().manual_seed(0))
    module, images, labels, mask = randomised(built, shape)
    rows = gradients(module, images, labels)
    assert rows.any(0).double().mean() > 0.5
    for free in (None, mask):
        loss = Loss(module, images, labels, mask=free, chunk=3)
        assert has_rules(loss)
        check(by_layer(loss), rows, free)
        check(by_example(loss), rows, free)


def test_every_parameter_by_itself_whole_and_masked() -> None:
    network = Network(name="vgg-digits", width=0.2)
    built = models.build(network, 3, (1, 8, 8), torch.Generator().manual_seed(0))
    module, images, labels, mask = randomised(built, (1, 8, 8))
    rows = gradients(module, images, labels)
    sizes = [parameter.numel() for parameter in module.parameters()]
    places = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    for number in range(len(sizes)):
        whole = places == number
        for own in (whole, whole & mask):
            check(by_layer(Loss(module, images, labels, mask=own)), rows, own)


class Convolution(nn.Module):
    """A convolution and softmax over the means of its filters' squares."""

    def __init__(self, channels: int, filters: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, **options)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images).square().mean((2, 3))


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 6),
    filters=st.integers(3, 24),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    size=st.tuples(st.integers(5, 8), st.integers(5, 8)),
    masked=st.booleans(),
    numbers=st.sampled_from([1, 500, 2**20]),
)
def test_convolutions_of_any_geometry(
    channels: int, filters: int, size: tuple[int, int], masked: bool, numbers: int, **options: Any
) -> None:
    options["kernel_size"] = options.pop("kernel")
    torch.manual_seed(0)
    conv = Convolution(channels, filters, **options)
    module, images, labels, mask = randomised(conv, (channels, *size), examples=4)
    free = mask if masked else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(per_example._NUMBERS, "cpu", numbers)
        found = by_layer(Loss(module, images, labels, mask=free))
    check(found, gradients(module, images, labels), free)


class Twice(nn.Module):
    """A dense layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class Uncalled(Twice):
    """A dense layer that is never called: its weights are taken from it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.tanh(F.linear(x, self.inner.weight, self.inner.bias)))


class Tied(nn.Module):
    """Two dense layers of the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class Scaled(nn.Module):
    """A parameter that is no layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 0.5]))
        self.dense = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.dense(x)


def headed(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(
        *layers, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    )


ROW, IMAGE = (6,), (2, 5, 5)
OTHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "called twice": (Twice, ROW),
    "never called": (Uncalled, ROW),
    "tied weights": (Tied, ROW),
    "a parameter by itself": (Scaled, ROW),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), ROW),
    "layer norm": (lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 3)), ROW),
    "dense on rows": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.Flatten(), nn.Linear(40, 3)),
        IMAGE,
    ),
    "groups": (lambda: headed(nn.Conv2d(2, 4, 3, groups=2)), IMAGE),
    "padding by name": (lambda: headed(nn.Conv2d(2, 4, 3, padding="same")), IMAGE),
    "reflection": (
        lambda: headed(nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")),
        IMAGE,
    ),
    "group norm": (lambda: headed(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4)), IMAGE),
}


@pytest.mark.parametrize("name", OTHERS)
def test_networks_without_a_rule_are_measured_too(name: str) -> None:
    torch.manual_seed(0)
    build, shape = OTHERS[name]
    module, images, labels, mask = randomised(build(), shape)
    rows = gradients(module, images, labels)
    for free in (None, mask):
        loss = Loss(module, images, labels, mask=free)
        assert not has_rules(loss)
        check(squared_norms(loss), rows, free)


@pytest.mark.parametrize("examples", [1, 3])
def test_whole_gradients_taken_in_parts(
    problem: Any, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(per_example, "_EXAMPLES", examples)
    rows = gradients(problem.module, problem.images, problem.labels)
    check(by_example(problem.loss(chunk=4)), rows, problem.mask)


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest tensor has."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.numbers = max(self.numbers, leaf.numel())
        return result


@pytest.mark.parametrize("masked", [False, True])
def test_layer_by_layer_nothing_is_larger_than_activations_or_weights(
    masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(per_example._NUMBERS, "cpu", 1)
    network = Network(name="vgg-digits")
    built = models.build(network, 3, (1, 8, 8), torch.Generator().manual_seed(0))
    module, images, labels, mask = randomised(built, (1, 8, 8), examples=40)
    loss = Loss(module, images, labels, mask=mask if masked else None)
    activations = 40 * 32 * 8 * 8
    assert len(loss.weights) < activations < 40 * len(loss.weights) / 5
    assert has_rules(loss)
    with Largest() as layered:
        by_layer(loss)
    assert layered.numbers == activations


def test_nothing_is_left_in_the_network(problem: Any) -> None:
    loss = problem.loss()
    squared_norms(loss)
    assert not any(module._forward_hooks for module in loss.module.modules())
    assert not any(parameter.requires_grad for parameter in loss.module.parameters())
