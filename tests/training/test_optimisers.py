"""The updates against torch.optim's, the schedule against its formula."""

from __future__ import annotations

import json

import pytest
import torch

from gst.recipe import Adam, Sgd, Training
from gst.training.optimisers import Optimiser, learning_rate

CASES = [
    (Sgd(kind="sgd", lr=0.1), torch.optim.SGD, {"lr": 0.1}),
    (
        Sgd(kind="sgd", lr=0.1, momentum=0.9, weight_decay=0.01),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    ),
    (Adam(kind="adam", lr=0.01), torch.optim.Adam, {"lr": 0.01}),
    (
        Adam(kind="adam", lr=0.01, beta1=0.8, beta2=0.9, eps=1e-3, weight_decay=0.1),
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    ),
]


def made(settings: Sgd | Adam, leaves: list[torch.Tensor], *, fused: bool) -> Optimiser:
    """Return an optimiser of one part with fresh moments."""
    slots = {
        name: [[torch.zeros_like(x) for x in leaves]] for name in Optimiser.slot_names(settings)
    }
    return Optimiser(settings, [leaves], slots, fused=fused)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("settings", "reference", "options"), CASES)
def test_updates_are_those_of_torch(
    settings: Sgd | Adam,
    reference: type[torch.optim.Optimizer],
    options: dict[str, object],
    fused: bool,
) -> None:
    torch.manual_seed(0)
    filters = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    start = [
        torch.randn(4, 5, dtype=torch.float64),
        torch.randn(7, dtype=torch.float64),
        filters.contiguous(memory_format=torch.channels_last),
    ]
    ours = [x.clone() for x in start]
    theirs = [torch.nn.Parameter(x.clone()) for x in start]
    optimiser, expected = made(settings, ours, fused=fused), reference(theirs, **options)
    factors = optimiser.factors([settings.lr] * 10, before=0)
    for row in factors:
        grads = [torch.randn(x.shape, dtype=x.dtype) for x in start]
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = grad.clone()
        expected.step()
        optimiser.update(0, grads, row, {})
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("settings", [case[0] for case in CASES])
def test_masked_entries_and_their_moments_stay_exactly_zero(
    settings: Sgd | Adam, fused: bool
) -> None:
    torch.manual_seed(0)
    mask = (torch.rand(40) < 0.5).float()
    leaves = [torch.randn(40) * mask, torch.randn(3)]
    optimiser = made(settings, leaves, fused=fused)
    for row in optimiser.factors([settings.lr] * 5, before=0):
        optimiser.update(0, [torch.randn(40), torch.randn(3)], row, {0: mask})
    for tensor in (leaves[0], *(slot[0][0] for slot in optimiser.slots.values())):
        assert (tensor[mask == 0] == 0).all()
        assert (tensor[mask == 1] != 0).all()


def schedule(**changes: object) -> Training:
    """Return training of 10 epochs at learning rate 1."""
    value = {"epochs": 10, "batch_size": 1, "optimiser": {"kind": "sgd", "lr": 1.0}, **changes}
    return Training.parse(json.dumps(value))


def test_learning_rate_drops_at_the_start_of_each_milestone() -> None:
    training = schedule(milestones=[4, 8], gamma=0.5)
    found = [learning_rate(training, epoch, 2, 3) for epoch in range(10)]
    assert found == [1.0] * 4 + [0.5] * 4 + [0.25] * 2


def test_warm_up_rises_by_the_same_amount_every_step() -> None:
    training = schedule(warmup_epochs=2)
    found = [learning_rate(training, epoch, step, 4) for epoch in range(3) for step in range(4)]
    assert found == pytest.approx([n / 8 for n in range(1, 9)] + [1.0] * 4)
