from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gst.measures.flatness.loss import Loss


def test_it_is_the_mean_cross_entropy_at_the_networks_weights(problem: Any) -> None:
    for chunk in (4, 512):
        loss = problem.loss(chunk)
        assert loss(loss.weights) == pytest.approx(problem.at(problem.weights).item(), rel=1e-12)


def test_free_weights_move_and_masked_ones_stay(problem: Any) -> None:
    loss = problem.loss()
    step = torch.randn_like(loss.weights)
    moved = problem.weights
    free = torch.ones_like(moved) if problem.mask is None else problem.mask
    moved[free.bool()] += step
    assert loss(loss.weights + step) == pytest.approx(problem.at(moved).item(), rel=1e-12)


def test_the_network_is_left_as_it_is(problem: Any) -> None:
    problem.module.train()
    before = {name: value.clone() for name, value in problem.module.state_dict().items()}
    loss = problem.loss()
    loss(loss.weights + 1)
    assert problem.module.training
    for name, value in problem.module.state_dict().items():
        assert torch.equal(value, before[name])


def test_batch_norm_uses_running_statistics_of_a_network_in_training_mode() -> None:
    module = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    images, labels = torch.randn(8, 2, 1, 1), torch.zeros(8, dtype=torch.int64)
    training = Loss(module.train(), images, labels)
    assert training(training.weights) == Loss(module.eval(), images, labels)(training.weights)


def test_what_does_not_fit_is_refused() -> None:
    module, images = nn.Linear(2, 2), torch.randn(3, 2)
    with pytest.raises(ValueError, match=r"a label for each of 3 images, found \[2\]"):
        Loss(module, images, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"a mask of 6 weights, found the shape \[4\]"):
        Loss(module, images, torch.zeros(3, dtype=torch.int64), mask=torch.ones(4))
