"""Dense-sparse-dense training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gst.recipe import Recipe
from gst.training import interventions
from gst.training.loop import DeviceData, TrainingState, train

INTERVENTION = {
    "kind": "dense-sparse-dense",
    "fraction": 0.36,
    "sparse_epoch": 0,
    "dense_epoch": 2,
}


@pytest.mark.parametrize(
    "optimiser", [{"kind": "adam", "lr": 0.01}, {"kind": "sgd", "lr": 0.1, "momentum": 0.9}]
)
def test_weights_leave_and_return_from_zero(
    optimiser: dict[str, Any],
    with_intervention: Callable[..., Recipe],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
) -> None:
    """Of 11,400 prunable weights 4,104 leave."""
    made = with_intervention(
        INTERVENTION, "lenet-digits", optimiser=optimiser, training={"epochs": 5}
    )
    state, data = begin(made)
    weights: dict[tuple[int, int], torch.Tensor] = {}
    moments: dict[tuple[int, int], torch.Tensor] = {}

    def flat(stacks: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([stacks[name].detach().flatten(1) for name in state.prunable], 1).clone()

    def note(state: TrainingState) -> None:
        weights[state.epoch, state.step] = flat(state.cohort.weights)
        slots = torch.stack([flat(stacks) for stacks in state.moments.values()])
        moments[state.epoch, state.step] = slots.abs().amax(0)

    train(state, data, interventions.make(made), pause=note)
    rows = [row for row in state.rows if row["seed"] == 0]
    assert [row["targets"] for row in rows] == [0, 4104, 0, 0, 0, 0]
    np.testing.assert_allclose([row["density"] for row in rows], [1, 0.64, 0.64, 1, 1, 1])
    gone = weights[1, 0] == 0
    assert gone.sum(1).tolist() == [4104] * 2
    for sizes, out in zip(weights[0, 3].abs(), gone, strict=True):
        assert sizes[out].max() <= sizes[~out].min()
    for position in weights:
        if (1, 0) <= position <= (3, 0):
            assert (weights[position][gone] == 0).all()
            assert (moments[position][gone] == 0).all()
    assert torch.equal(weights[2, 3], weights[3, 0])
    assert (weights[3, 1][gone] != 0).float().mean() > 0.5
