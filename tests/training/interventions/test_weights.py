"""Pruning between levels: exact counts, what goes, and the gradients that scores need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst.randomness import key
from gst.recipe import Recipe
from gst.registry import entries, load
from gst.training.interventions import scores
from gst.training.interventions.scores import flow_gradients, loss_gradients, score_weights
from gst.training.loop import DeviceData, TrainingState

Begin = Callable[..., tuple[TrainingState, DeviceData]]
NAMES = sorted(entries(scores.SCORES))


def prune(state: TrainingState, data: DeviceData) -> int:
    intervention = state.recipe.intervention
    return load("gst.training.interventions", "weights")(intervention).before_first_step(
        state, data
    )


def flat(state: TrainingState, tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].flatten(1) for name in state.prunable], 1)


@pytest.fixture
def level(recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    def make(number: int, network: str = "lenet-digits", **pruning: Any) -> Recipe:
        return recipe(network, level=number, intervention={"kind": "weights", **pruning})

    return make


@pytest.mark.parametrize("score", NAMES)
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_the_lowest_scores_go_and_no_more(
    score: str, scope: str, level: Callable[..., Recipe], begin: Begin
) -> None:
    state, data = begin(level(1, score=score, scope=scope, fraction=0.3))
    found = score_weights(state, score, 1, data)
    sizes = {name: own[0].numel() for name, own in found.items()}
    assert sizes == {"fc1.weight": 6400, "fc2.weight": 5000}
    assert prune(state, data) == 0.3 * 11400
    groups = [[name] for name in sizes] if scope == "layer" else [list(sizes)]
    for group in groups:
        masks, values = (
            torch.cat([tensors[name].flatten(1) for name in group], 1)
            for tensors in (state.masks, found)
        )
        for kept, own in zip(masks, values, strict=True):
            assert (~kept).sum() == round(0.3 * len(kept))
            assert own[~kept].max() <= own[kept].min()
    assert all((state.cohort.weights[n][~mask] == 0).all() for n, mask in state.masks.items())


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_one_shot_leaves_as_many_as_level_by_level(
    scope: str, level: Callable[..., Recipe], begin: Begin
) -> None:
    """With .35, rounding to halves matters: .65 ** 4 of all weights would be off by one."""
    step, data = begin(level(1, fraction=0.35, scope=scope))
    for number in (1, 2, 3, 4):
        step.recipe = level(number, fraction=0.35, scope=scope)
        prune(step, data)
    once, _ = begin(level(4, fraction=0.35, scope=scope, schedule="one-shot"))
    removed = prune(once, data)
    for name in once.prunable:
        if scope == "layer":
            assert (once.masks[name].sum() == step.masks[name].sum()).all()
    assert once.remaining() == step.remaining() == [11400 - removed] * 2


def test_random_scores_have_a_stream_for_each_seed_layer_and_level(
    level: Callable[..., Recipe], begin: Begin
) -> None:
    state, _ = begin(level(1, score="random"), seeds=(3, 5))
    found = score_weights(state, "random", 1)
    stream = torch.Generator().manual_seed(key(5, "prune fc2.weight", 1))
    assert torch.equal(found["fc2.weight"][1], torch.rand(50, 100, generator=stream))
    others = [score_weights(state, "random", 2)["fc2.weight"][1], found["fc2.weight"][0]]
    others.append(found["fc1.weight"][1].flatten()[:5000].view(50, 100))
    for other in others:
        r = np.corrcoef(other.flatten(), found["fc2.weight"][1].flatten())[0, 1]
        assert abs(r) < 4 / np.sqrt(5000)


@pytest.mark.parametrize("network", ["lenet-digits", "vgg-digits", "resnet20-a"])
def test_the_gradient_of_the_training_loss(
    network: str, level: Callable[..., Recipe], begin: Begin
) -> None:
    """Against one pass over all examples in float64, which has a few kinks elsewhere."""
    state, data = begin(level(1, network))
    found = loss_gradients(state, data)
    for r, module in enumerate(state.cohort.modules):
        tensors = {
            name: t.detach().double() if t.is_floating_point() else t
            for name, t in [*module.named_parameters(), *module.named_buffers()]
        }
        for name in state.prunable:
            tensors[name].requires_grad_()
        module.eval()
        outputs = torch.func.functional_call(module, tensors, (data.train_inputs().double(),))
        loss = F.cross_entropy(outputs, data.labels[r])
        expected = torch.autograd.grad(loss, [tensors[name] for name in state.prunable])
        for name, gradient in zip(state.prunable, expected, strict=True):
            assert (found[name][r] - gradient).norm() < 1e-2 * gradient.norm(), name


def test_the_gradient_of_the_flow_is_a_product_of_matrices(
    level: Callable[..., Recipe], begin: Begin
) -> None:
    """Of a network of three dense layers: R = 1' (|W3| (|W2| (|W1| 1 + |b1|) + |b2|) + |b3|)."""
    state, data = begin(level(1))
    found = flow_gradients(state, data)
    for r in range(2):
        w = {n: t[r].detach().double().abs().numpy() for n, t in state.cohort.weights.items()}
        first = w["fc1.weight"] @ np.ones(64) + w["fc1.bias"]
        above = np.ones(3) @ w["fc3.weight"]
        np.testing.assert_allclose(found["fc2.weight"][r], np.outer(above, first))
        below = np.outer(above @ w["fc2.weight"], np.ones(64))
        np.testing.assert_allclose(found["fc1.weight"][r], below)


@pytest.mark.parametrize("network", ["lenet-digits", "vgg-digits", "resnet20-a"])
def test_every_layer_carries_the_whole_flow(
    network: str, level: Callable[..., Recipe], begin: Begin
) -> None:
    """Tanaka et al. 2020, theorem 2: without biases the scores of a cut sum to R."""
    state, data = begin(level(1, network))
    with torch.no_grad():
        for name, weight in state.cohort.weights.items():
            if name.endswith("bias"):
                weight.zero_()
    found = score_weights(state, "synflow", 1, data)
    for r, module in enumerate(state.cohort.modules):
        positive = {n: p.detach().double().abs() for n, p in module.named_parameters()}
        buffers = {n: b.double() for n, b in module.named_buffers() if b.is_floating_point()}
        module.eval()
        ones = torch.ones(1, 1, 8, 8, dtype=torch.float64)
        flow = torch.func.functional_call(module, positive | buffers, (ones,)).sum()
        cuts = [name for name in state.prunable if network != "resnet20-a" or "blocks" not in name]
        assert cuts
        for name in cuts:
            torch.testing.assert_close(found[name][r].sum(), flow)
        if isinstance(module, nn.Sequential):
            assert len(cuts) == 2


def test_a_score_that_needs_gradients_needs_data(
    level: Callable[..., Recipe], begin: Begin
) -> None:
    state, _ = begin(level(1))
    with pytest.raises(ValueError, match="'snip' needs gradients"):
        score_weights(state, "snip", 1)
