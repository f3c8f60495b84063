"""Steps on a GPU: captured as eager, in company as alone, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gst.bench.agreement import FIRST, NETWORKS, compare, dataset, recipe, ways
from gst.bench.lines import line
from gst.data.device import EpochBatches
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.capture import WARM_UP, graph_capture
from gst.training.interventions import Intervention
from gst.training.loop import DeviceData, TrainingState, train
from gst.training.processes import ALONE
from gst.training.steps import Steps

SEEDS = range(8)
CLOSE = {"captured": 1e-2, "alone": 1e-2, "bf16": 0.3}
"""Largest relative difference of a loss among the first steps. Ten steps amplify rounding: on a CPU
bf16, which rounds within 2^-8, was seen within 0.14; TF32 rounds within 2^-11."""
CHANCE = 0.02
"""How far the interval of the change of accuracy may stay from 0: seven of 360 test images."""
LEARNED = 0.6
"""Test accuracy that every network passes; augmentation makes the small digits hard."""

SCHEDULE = {"fractions": [0.3, 0.5], "first_epochs": [0, 1], "last_epochs": [4, 4], "period": 2}
INTERVENTIONS: dict[str, dict[str, Any]] = {
    "filters": {"kind": "filters", "target": "L", **SCHEDULE},
    "activations": {"kind": "filters", "target": "S", "score": "activations", **SCHEDULE},
    "noise": {"kind": "noise", "target": "S", "noise": "zero", "batches": 30, **SCHEDULE},
}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_way_ends_alike(network: str, gpu: torch.device) -> None:
    found = compare(network, 12, ways(network, SEEDS, dataset(), gpu, epochs=12))
    print(*map(line, found), sep="\n")
    assert [run.way for run in found] == ["eager", *CLOSE]
    for run in found:
        assert run.accuracy > LEARNED, run
        assert run.difference <= CLOSE.get(run.way, 0), run
        assert run.low < CHANCE and run.high > -CHANCE, run


def begun(made: Recipe, device: torch.device) -> tuple[TrainingState, DeviceData]:
    found, seeds = dataset(), (0, 1, 2)
    labels = np.stack([found.train.labels] * len(seeds))
    data = DeviceData.load(found, labels, made.training, device)
    return TrainingState(made, seeds, 10, found.shape, data.trained, device), data


@pytest.mark.parametrize("intervention", INTERVENTIONS)
def test_interventions_do_in_captured_steps_what_they_do_in_eager_ones(
    intervention: str, gpu: torch.device
) -> None:
    made = recipe("vgg-digits", "float32", epochs=6, intervention=INTERVENTIONS[intervention])
    states = []
    for capture in (None, graph_capture(gpu)):
        state, data = begun(made, gpu)
        train(state, data, interventions.make(made), capture=capture)
        states.append(state)
    eager, captured = states
    assert [row["targets"] for row in eager.rows] == [row["targets"] for row in captured.rows]
    assert eager.remaining() == captured.remaining()
    for name, mask in captured.masks.items():
        assert (captured.cohort.weights[name][~mask] == 0).all(), name
    losses = [np.array([row["train_loss"] for row in state.rows[3:]]) for state in states]
    np.testing.assert_allclose(losses[1][:3], losses[0][:3], rtol=0.02)


@pytest.mark.parametrize("network", ["lenet-digits", "vgg-digits"])
def test_a_captured_step_waits_for_nothing(network: str, gpu: torch.device) -> None:
    state, data = begun(recipe(network, "float32", epochs=2), gpu)
    steps = Steps(state, ALONE, graph_capture(gpu))
    batches = data.epoch(state.recipe, state.seeds, 0)
    assert isinstance(batches, EpochBatches) and len(batches) > WARM_UP + 5
    state.cohort.train()
    steps.begin(batches)
    mode: Callable[[str], None] = torch.cuda.set_sync_debug_mode
    try:
        for state.step in range(WARM_UP + 5):
            if state.step > WARM_UP:
                mode("error")
            steps.make(Intervention().kind(state))
    finally:
        mode("default")
    made = slice(0, (WARM_UP + 5) * state.recipe.training.batch_size)
    assert (state.loss[:, made] > 0).all() and (state.loss[:, made.stop :] == 0).all()
    assert len(batches) > FIRST
