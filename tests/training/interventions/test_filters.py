"""Pruning of filters: when, how many, which, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gst.models import FilterLayer
from gst.randomness import key
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.loop import DeviceData, TrainingState, train


def schedule(
    fractions: list[float] | float, first: Any, last: Any, period: int | None, **changes: Any
) -> dict[str, Any]:
    return {
        "kind": "filters", "fractions": fractions, "first_epochs": first, "last_epochs": last,
        "period": period, "target": "S", **changes,
    }  # fmt: skip


def layers_of(state: TrainingState) -> list[FilterLayer]:
    return state.cohort.modules[0].filter_layers()


# Filters left in each scheduled layer after each epoch, counted by hand with exact ceilings.
TABLES = {
    "lists": (
        {"network": "vgg-digits"},
        schedule([0.5, 0.3, 0.9], [0, 1, 0], [4, 3, 2], 2),
        [[27, 64, 36], [27, 55, 36], [22, 55, 7], [22, 45, 7], [16, 45, 7], [16, 45, 7]],
        [0, 33, 9, 34, 10, 6, 0],
    ),
    "all layers": (
        {"network": "vgg-digits"},
        schedule(0.1, 1, 3, 2),
        [[16, 32, 32, 64, 64], [16, 31, 31, 61, 61], [16, 31, 31, 61, 61], [15, 29, 29, 58, 58]],
        [0, 0, 8, 0, 11],
    ),
    "once": (
        {"network": "vgg-digits"},
        schedule(0.25, 1, 2, None),
        [[16, 32, 32, 64, 64], [12, 24, 24, 48, 48], [12, 24, 24, 48, 48]],
        [0, 0, 52, 0],
    ),
    "resnet20-a, all layers": (
        {"network": "resnet20-a", "width": 0.25},
        schedule(0.25, 0, 1, 1, score="l1"),
        [[4] * 6 + [7] * 6 + [14] * 6, [3] * 6 + [6] * 6 + [12] * 6],
        [0, 18, 24],
    ),
    "resnet18, lists": (
        {"network": "resnet18", "width": 1 / 16},
        schedule([0.25, 0.4, 0.25, 0.95], [0, 0, 0, 1], [2, 2, 0, 1], 2),
        [[28, 26, 24, 32], [28, 26, 24, 2], [24, 20, 24, 2]],
        [0, 18, 30, 10],
    ),
}


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("target", ["S", "R", "L"])
def test_filters_left_after_every_event(
    case: str, target: str, with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    network, intervention, kept, targets = TABLES[case]
    seen = watched(
        with_intervention(
            {**intervention, "target": target}, **network, training={"epochs": len(kept)}
        )
    )
    scheduled = layers_of(seen.state)[-len(kept[0]) :]
    for epoch, numbers in enumerate(kept, start=1):
        arrays = seen[epoch, 0]
        for layer, number in zip(scheduled, numbers, strict=True):
            mask = arrays.get(f"masks/{layer.norm}.weight")
            alive = [number] * 2 if mask is None else mask.sum(1).tolist()
            assert alive == [number] * 2, (epoch, layer.conv)
    assert seen.targets() == targets


@pytest.mark.parametrize("target", ["S", "L"])
@pytest.mark.parametrize("score", ["l1", "l2"])
def test_targets_are_the_smallest_or_largest_filters_of_each_replicate(
    target: str,
    score: str,
    with_intervention: Callable[..., Recipe],
    watched: Callable[..., Any],
) -> None:
    intervention = schedule([0.5, 0.5], [0, 0], [2, 2], 1, target=target, score=score)
    seen = watched(with_intervention(intervention))
    power = {"l1": 1, "l2": 2}[score]
    for conv, norm in (("conv4", "norm4"), ("conv5", "norm5")):
        alive = [set(range(64)), set(range(64))]
        for epoch in range(3):
            before = seen[epoch, 3][f"weights/features.{conv}.weight"].astype(float)
            mask = seen[epoch + 1, 0][f"masks/features.{norm}.weight"].astype(bool)
            for r in range(2):
                left = set(np.flatnonzero(mask[r]))
                sizes = {f: (np.abs(before[r, f]) ** power).sum() for f in alive[r]}
                order = sorted(sizes, key=sizes.__getitem__, reverse=target == "L")
                assert alive[r] - left == set(order[: len(alive[r]) - len(left)])
                alive[r] = left
        assert alive[0] != alive[1]


def test_random_targets_come_from_their_stream(
    with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    seen = watched(with_intervention(schedule([0.5], [0], [2], 2, target="R")))
    for r, seed in enumerate(seen.state.seeds):
        alive = set(range(64))
        for epoch in (0, 2):
            stream = torch.Generator().manual_seed(key(seed, "prune features.conv5", epoch))
            draws = torch.rand(64, generator=stream).tolist()
            alive -= set(sorted(alive, key=draws.__getitem__)[:16])
            mask = seen[epoch + 1, 0]["masks/features.norm5.weight"]
            assert set(np.flatnonzero(mask[r])) == alive


def into(outputs: dict[str, Tensor], name: str) -> Callable[..., None]:
    """Return a hook that keeps a module's last output."""

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs[name] = output.detach().clone()

    return hook


@pytest.mark.parametrize(
    ("network", "width"), [("vgg-digits", 1), ("resnet20-a", 0.5), ("resnet18", 1 / 8)]
)
def test_channels_of_pruned_filters_are_exactly_zero(
    network: str,
    width: float,
    with_intervention: Callable[..., Recipe],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
) -> None:
    made = with_intervention(
        schedule(0.5, 0, 1, 1, target="L"), network, width, training={"epochs": 3}
    )
    state, data = begin(made)
    train(state, data, interventions.make(made))
    for r, module in enumerate(state.cohort.modules):
        outputs: dict[str, Tensor] = {}
        for layer in layers_of(state):
            # A block's second convolution: what comes out of the block. Else: before the ReLU.
            place = layer.conv.rpartition(".")[0] if layer.gate else layer.activation
            module.get_submodule(place).register_forward_hook(into(outputs, layer.conv))
        for training in (False, True):
            module.train(training)
            module(data.test_inputs)
            for layer in layers_of(state):
                alive = state.masks[f"{layer.norm}.weight"][r]
                zero = (outputs[layer.conv] == 0).flatten(2).all(2).all(0)
                assert 2 * alive.sum() == len(alive)
                assert zero[~alive].all(), layer.conv
                assert not zero[alive].all(), layer.conv


@pytest.mark.parametrize(("network", "width"), [("vgg-digits", 1), ("resnet18", 1 / 16)])
def test_activations_are_the_running_mean_over_every_tenth_training_batch(
    network: str,
    width: float,
    with_intervention: Callable[..., Recipe],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
) -> None:
    made = with_intervention(
        schedule([0.25, 0.5], [0, 1], [0, 1], None, score="activations"),
        network, width, training={"epochs": 3, "batch_size": 12},
    )  # fmt: skip
    state, data = begin(made)
    sums: dict[tuple[str, int], list[np.ndarray]] = {}

    def note(name: str, r: int) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if module.training:
                found = np.abs(output.detach().numpy().astype(float)).sum((0, 2, 3))
                sums.setdefault((name, r), []).append(found)

        return hook

    scheduled = layers_of(state)[-2:]
    for r, module in enumerate(state.cohort.modules):
        for layer in scheduled:
            module.get_submodule(layer.activation).register_forward_hook(note(layer.conv, r))
    means: dict[tuple[str, int], list[np.ndarray]] = {}

    def pause(state: TrainingState) -> None:
        if state.step == 0:
            for (name, r), found in sums.items():
                mean = np.zeros_like(found[0])
                for batch in range(0, len(found), 10):
                    mean = 0.9 * mean + 0.1 * found[batch]
                means.setdefault((name, r), []).append(mean)
                memory = state.memory[f"activation/{name}"][r]
                np.testing.assert_allclose(memory, mean, rtol=1e-4)

    train(state, data, interventions.make(made), pause=pause)
    assert {len(found) for found in sums.values()} == {3 * 8}
    for layer, epoch, share in zip(scheduled, (0, 1), (0.25, 0.5), strict=True):
        for r in range(2):
            gone = ~state.masks[f"{layer.norm}.weight"][r].numpy()
            order = np.argsort(means[layer.conv, r][epoch])
            assert set(np.flatnonzero(gone)) == set(order[: round(share * len(gone))])


def test_other_scores_watch_nothing(
    with_intervention: Callable[..., Recipe],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
) -> None:
    made = with_intervention(schedule(0.5, 0, 1, 1))
    state, _ = begin(made)
    interventions.make(made).attach(state)
    assert not state.memory
    assert not any(m._forward_hooks for module in state.cohort.modules for m in module.modules())


@pytest.mark.parametrize("score", ["ebn", "ebn_alt"])
def test_batch_norm_scores_see_the_batch_norm(
    score: str, with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    """Scales stay positive in so short a run, so that both scores are the mean of samples."""
    adam = {"kind": "adam", "lr": 0.01}
    seen = watched(with_intervention(schedule([0.5], [1], [2], None, score=score), optimiser=adam))
    before, after = seen[1, 3], seen[2, 0]
    for r in range(2):
        gone = np.flatnonzero(after["masks/features.norm5.weight"][r] == 0)
        scale = before["weights/features.norm5.weight"][r]
        shift = before["weights/features.norm5.bias"][r]
        draws = np.random.default_rng(0).standard_normal((200_000, 1)) * scale + shift
        order = np.maximum(draws, 0).mean(0)
        left = np.setdiff1d(np.arange(64), gone)
        assert (scale > 0).all()
        assert order[gone].max() < order[left].min() + 0.005


@pytest.mark.parametrize(
    ("network", "width", "fractions", "kept"),
    [
        ("vgg-digits", 1, 0.7, [5, 10, 10, 20, 20]),
        ("vgg-digits", 1, [0.3, 0.9], [16, 32, 32, 45, 7]),
        ("resnet18", 1 / 16, 0.25, [3] * 4 + [6] * 4 + [12] * 4 + [24] * 4),
    ],
)
def test_scratch_prunes_the_initialisation(
    network: str,
    width: float,
    fractions: Any,
    kept: list[int],
    with_intervention: Callable[..., Recipe],
    watched: Callable[..., Any],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
) -> None:
    made = with_intervention(
        {"kind": "scratch", "fractions": fractions}, network, width, training={"epochs": 1}
    )
    seen = watched(made)
    initial = begin(made)[0].cohort.weights
    removed = 0
    for layer, number in zip(layers_of(seen.state), kept, strict=True):
        alive = seen.state.mask(f"{layer.norm}.weight")
        assert alive.sum(1).tolist() == [number] * 2
        removed += alive.shape[1] - number
        for r in range(2):
            sizes = initial[f"{layer.conv}.weight"][r].flatten(1).norm(dim=1)
            gone = sizes[~alive[r]].tolist()
            assert max(gone, default=0) <= sizes[alive[r]].min()
    assert seen.targets() == [removed, 0]


def test_scratch_cannot_score_by_activations(
    with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    made = with_intervention({"kind": "scratch", "fractions": 0.5, "score": "activations"})
    with pytest.raises(ValueError, match="needs a network that has trained"):
        watched(made)
