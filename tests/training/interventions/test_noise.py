"""Temporary noise: how long it lasts, on which filters, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gst.recipe import Recipe

CONV, NORM = "features.conv5", "features.norm5"
ZEROED = (f"weights/{CONV}.weight", f"weights/{CONV}.bias")
WHOLE = (
    *ZEROED,
    f"weights/{NORM}.weight",
    f"weights/{NORM}.bias",
    f"buffers/{NORM}.running_mean",
    f"buffers/{NORM}.running_var",
)
STEPS = 3
"""Steps an epoch in these runs."""


def noise(kind: str, batches: int, **changes: Any) -> dict[str, Any]:
    """Return noise on vgg-digits' last convolution: of 64 filters 19 at epoch 0, 38 by epoch 2."""
    return {
        "kind": "noise", "noise": kind, "batches": batches, "fractions": [0.6],
        "first_epochs": [0], "last_epochs": [2], "period": 2, "target": "L", **changes,
    }  # fmt: skip


def largest(weights: np.ndarray, free: set[int], number: int) -> set[int]:
    norms = (weights.astype(float) ** 2).reshape(len(weights), -1).sum(1)
    return set(sorted(free, key=norms.__getitem__, reverse=True)[:number])


def targets(seen: Any, r: int) -> dict[int, set[int]]:
    """Return the newest targets by the epoch of their event, from the weights just before."""
    free = set(range(64))
    found = {}
    for epoch, number in ((0, 19), (2, 19)):
        found[epoch] = largest(seen[epoch, STEPS][ZEROED[0]][r], free, number)
        free -= found[epoch]
    return found


def after(epoch: int, batches: int) -> tuple[int, int]:
    """Return the position after that many training batches since the end of an epoch."""
    full, step = divmod(batches, STEPS)
    return (epoch + 1 + full, step) if step else (epoch + full, STEPS)


@pytest.mark.parametrize("batches", [1, 2, 3, 5])
@pytest.mark.parametrize("hits", ["newest", "cumulative"])
def test_zeroed_filters_stay_zero_for_so_many_batches_and_then_move(
    batches: int,
    hits: str,
    with_intervention: Callable[..., Recipe],
    watched: Callable[..., Any],
) -> None:
    seen = watched(with_intervention(noise("zero", batches, hits=hits), training={"epochs": 5}))
    assert seen.state.masks == {}
    assert seen.targets() == [0, 19, 0, 38 if hits == "cumulative" else 19, 0, 0]
    for r in range(2):
        newest = targets(seen, r)
        assert len(newest[0] | newest[2]) == 38
        for epoch in (0, 2):
            hit = newest[0] | newest[epoch] if hits == "cumulative" else newest[epoch]
            places = sorted(hit)
            others = sorted(set(range(64)) - hit)
            for done in range(batches):
                arrays = seen[after(epoch, done)] if done else seen[epoch + 1, 0]
                for name in ZEROED:
                    assert (arrays[name][r, places] == 0).all(), (epoch, done, name)
                assert (arrays[ZEROED[0]][r, others] != 0).any((1, 2, 3)).all()
            arrays = seen[after(epoch, batches)]
            assert (arrays[ZEROED[0]][r, places] != 0).any((1, 2, 3)).all()


@pytest.mark.parametrize("hits", ["newest", "cumulative"])
@pytest.mark.parametrize("batches", [1, 4])
def test_restored_filters_return_as_they_were(
    batches: int,
    hits: str,
    with_intervention: Callable[..., Recipe],
    watched: Callable[..., Any],
) -> None:
    seen = watched(with_intervention(noise("restore", batches, hits=hits), training={"epochs": 5}))
    assert seen.state.masks == {}
    for r in range(2):
        newest = targets(seen, r)
        for epoch in (0, 2):
            hit = newest[0] | newest[epoch] if hits == "cumulative" else newest[epoch]
            places = sorted(hit)
            others = sorted(set(range(64)) - hit)
            before, back = seen[epoch, STEPS], seen[after(epoch, batches)]
            for name in WHOLE:
                np.testing.assert_array_equal(back[name][r, places], before[name][r, places], name)
                if name != ZEROED[1]:
                    assert (back[name][r, others] != before[name][r, others]).mean() > 0.9
            for done in range(batches):
                during = seen[after(epoch, done)] if done else seen[epoch + 1, 0]
                assert all((during[name][r, places] == 0).all() for name in ZEROED)
                moved = during[f"buffers/{NORM}.running_var"][r, places]
                same = moved == before[f"buffers/{NORM}.running_var"][r, places]
                assert same.all() if done == 0 else not same.any()
    assert not any(name.startswith(("hit/", "before/")) for name in seen.state.memory)


@pytest.mark.parametrize("kind", ["zero", "restore"])
def test_the_next_event_ends_noise_that_still_lasts(
    kind: str, with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    seen = watched(with_intervention(noise(kind, 100), training={"epochs": 5}))
    for r in range(2):
        # While the noise lasts, the first targets' own norms are 0; so are they in the table.
        first = largest(seen[0, STEPS][ZEROED[0]][r], set(range(64)), 19)
        second = largest(seen[2, STEPS][ZEROED[0]][r], set(range(64)) - first, 19)
        old, new = sorted(first), sorted(second)
        assert (seen[2, STEPS][ZEROED[0]][r, old] == 0).all()
        if kind == "restore":
            for name in WHOLE:
                before, back = seen[0, STEPS][name][r, old], seen[3, 0][name][r, old]
                np.testing.assert_array_equal(back, before)
        assert (seen[3, 1][ZEROED[0]][r, old] != 0).any((1, 2, 3)).all()
        for position in seen.arrays:
            if position >= (3, 0):
                assert (seen[position][ZEROED[0]][r, new] == 0).all()


def test_random_targets_of_noise_are_drawn_once_each(
    with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    intervention = noise("zero", 1, target="R", period=1, fractions=[0.9])
    seen = watched(with_intervention(intervention, training={"epochs": 4}))
    hit = []
    for epoch in range(3):
        zero = (seen[epoch + 1, 0][ZEROED[0]] == 0).all((2, 3, 4))
        hit.append([set(np.flatnonzero(row)) for row in zero])
    # 64 filters: 64 - 7 in three events of 19.
    for r in range(2):
        assert [len(row[r]) for row in hit] == [19, 19, 19]
        assert len(hit[0][r] | hit[1][r] | hit[2][r]) == 57
    assert hit[0][0] != hit[0][1]


FROZEN = {"kind": "sgd", "lr": 1e-30}
"""An optimiser whose steps are lost in rounding, so that only noise moves weights."""


def test_gaussian_noise_has_the_stated_size_and_accumulates(
    with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    seen = watched(
        with_intervention(noise("gaussian", 3), width=2, optimiser=FROZEN, training={"epochs": 4})
    )
    assert seen.targets() == [0, 38, 0, 38, 0]
    name = ZEROED[0]
    everyone = set(range(128))
    events = {0: [(0, 3), (1, 0), (1, 1), (1, 2)], 2: [(2, 3), (3, 0), (3, 1), (3, 2)]}
    gone: list[set[int]] = [set(), set()]
    for epoch, positions in events.items():
        added = []
        for r in range(2):
            start = seen[epoch, 3][name][r]
            hit = largest(start, everyone - gone[r], 38)
            gone[r] |= hit
            others = start[sorted(everyone - gone[r])]
            sigma = others.std(ddof=1)
            states = np.stack([seen[position][name][r] for position in positions])
            noise_added = np.diff(states.astype(float), axis=0)
            assert (noise_added[:, sorted(everyone - hit)] == 0).all()
            drawn = noise_added[:, sorted(hit)].reshape(3, -1) / sigma
            n = drawn.shape[1]
            assert n > 40_000
            assert (np.abs(drawn.mean(1)) < 5 / n**0.5).all()
            assert (np.abs(drawn.var(1) - 1) < 5 * (2 / n) ** 0.5).all()
            assert abs(drawn.sum(0).var() - 3) < 5 * 3 * (2 / n) ** 0.5
            added.append(drawn)
            later = [seen[position][name][r] for position in seen.arrays if position > positions[3]]
            if epoch == 0:
                later = [seen[2, 1][name][r], seen[2, 3][name][r]]
            assert all(np.array_equal(weights, states[3]) for weights in later)
        n = min(len(drawn[0]) for drawn in added)
        streams = np.concatenate([drawn[:, :n] for drawn in added])
        correlation = np.corrcoef(streams) - np.eye(6)
        assert np.abs(correlation).max() < 5 / n**0.5


def test_noise_that_outlasts_training_is_left_in_the_weights(
    with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    intervention = noise("restore", 100, period=None, last_epochs=[0])
    seen = watched(with_intervention(intervention, training={"epochs": 2}))
    zero = (seen[2, 0][ZEROED[0]] == 0).all((2, 3, 4))
    assert zero.sum(1).tolist() == [38, 38]


@pytest.mark.parametrize("network", ["resnet20-a", "resnet18"])
def test_noise_leaves_batch_norms_and_gates_of_residual_networks_open(
    network: str, with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    intervention = noise(
        "zero", 2, fractions=0.5, first_epochs=0, last_epochs=0, period=None, score="activations"
    )
    seen = watched(with_intervention(intervention, network, 1 / 16, training={"epochs": 2}))
    module = seen.state.cohort.modules[0]
    assert seen.state.masks == {}
    for layer in module.filter_layers():
        weights = seen[1, 0][f"weights/{layer.conv}.weight"]
        zero = (weights == 0).all((2, 3, 4))
        assert zero.sum(1).tolist() == [weights.shape[1] // 2] * 2
        scale = f"weights/{layer.norm}.weight"
        np.testing.assert_array_equal(seen[1, 0][scale], seen[0, 3][scale])
        if layer.gate:
            assert (seen[1, 0][f"buffers/{layer.gate}.gate"] == 1).all()
