"""On a device that is no CPU, every tensor of a step lies there; shown without such a device.

Fake tensors have a shape and a device but no memory. An operation on tensors of two devices fails.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from gst.bench.agreement import NETWORKS, dataset, recipe
from gst.training import interventions
from gst.training.loop import DeviceData, TrainingState
from gst.training.processes import ALONE
from gst.training.steps import Steps

SCHEDULE = {"fractions": [0.3, 0.5], "first_epochs": [0, 1], "last_epochs": [4, 4], "period": 2}
FILTERS = {"kind": "filters", "target": "S", "score": "activations", **SCHEDULE}
CUDA = torch.device("cuda:0")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTensorMode:
    """What makes tensors fake; gradients are zeros, since autograd wants a real device."""

    def zeros(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
        return [torch.zeros_like(leaf) for leaf in leaves]

    monkeypatch.setattr(torch.autograd, "grad", zeros)
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor)
    return FakeTensorMode(allow_non_fake_inputs=True)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_steps(network: str, precision: str, fake: FakeTensorMode) -> None:
    intervention: dict[str, Any] | None = FILTERS if network == "vgg-digits" else None
    made, found = recipe(network, precision, 6, intervention), dataset()
    with fake:
        data = DeviceData.load(found, found.train.labels[None], made.training, CUDA)
        state = TrainingState(made, [0], 10, found.shape, data.trained, CUDA)
        state.set_masks(
            {n: torch.ones_like(w, dtype=torch.bool) for n, w in state.cohort.weights.items()}
        )
        acting = interventions.make(made)
        acting.attach(state)
        state.cohort.train()
        steps = Steps(state, ALONE, lambda step: step)
        steps.begin(data.epoch(made, state.seeds, 0))
        for state.step in range(5):
            steps.make(acting.kind(state))
    assert {leaf.device for leaf in state.cohort.leaves} == {CUDA}
    assert state.loss.device == CUDA == state.correct.device


def test_the_check_fails_for_tensors_of_two_devices(fake: FakeTensorMode) -> None:
    with fake, pytest.raises(RuntimeError, match="two different devices"):
        torch.zeros(3, device=CUDA) + torch.zeros(3)
