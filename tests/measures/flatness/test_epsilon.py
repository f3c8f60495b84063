from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from gst.measures.flatness.epsilon import epsilon, scan
from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.spectrum import spectrum


class Bowl:
    """A quadratic loss, 1/2 (w - centre)^T D (w - centre)."""

    def __init__(self, curvatures: list[float], centre: list[float] | None = None) -> None:
        self.curvatures = torch.tensor(curvatures, dtype=torch.float64)
        self.centre = torch.tensor(centre or [0.0] * len(curvatures), dtype=torch.float64)
        self.weights = torch.zeros_like(self.curvatures)

    def __call__(self, weights: Tensor) -> float:
        return float((self.curvatures * (weights - self.centre).square()).sum() / 2)


def published(loss: Any, directions: Tensor) -> tuple[float, bool]:
    """Try the steps one by one."""
    centre = loss(loss.weights)
    rising = [
        abs(step)
        for step in np.linspace(-0.4, 0.4, 81)
        for direction in directions
        if loss(loss.weights + float(step) * direction) - centre >= 0.1
    ]
    return (min(rising), False) if rising else (0.4, True)


AXES = torch.eye(3, dtype=torch.float64)


def found(loss: Any, directions: Tensor = AXES) -> tuple[float, bool]:
    return epsilon(scan(loss, directions))


def test_a_scan_holds_the_loss_at_every_step() -> None:
    curvatures, centre = [1.0, 20.0, -3.0], [0.1, 0.0, 0.3]
    losses = scan(Bowl(curvatures, centre), AXES[:2])
    assert losses.dtype == torch.float64
    steps = np.linspace(-0.4, 0.4, 81)
    rest = (1.0 * 0.1**2 - 3.0 * 0.3**2) / 2
    expected = [
        rest + 0.5 * steps**2 - 0.1 * steps,
        rest + 10.0 * steps**2,
    ]
    np.testing.assert_allclose(losses, expected, atol=1e-12)
    np.testing.assert_array_equal(losses[:, 40], losses[0, 40])


@pytest.mark.parametrize("curvature", [1.3, 1.9, 5.0, 21.0, 300.0, 3000.0])
def test_a_bowl_of_known_curvature(curvature: float) -> None:
    step, censored = found(Bowl([1.0, curvature, 0.1]))
    assert not censored
    assert step == pytest.approx(np.ceil(np.sqrt(0.2 / curvature) / 0.01) * 0.01)


def test_a_flat_bowl_is_censored() -> None:
    assert found(Bowl([1.0, 1.2, 0.1])) == (0.4, True)


def test_a_rise_at_the_last_step_is_not_censored() -> None:
    assert found(Bowl([1.26, 0.0, 0.0])) == (0.4, False)


def test_the_worse_sign_counts() -> None:
    tilted = Bowl([2.0, 0.0, 0.0], centre=[0.2, 0.0, 0.0])
    assert found(tilted) == pytest.approx(published(tilted, AXES))
    assert found(tilted)[0] < found(Bowl([2.0, 0.0, 0.0]))[0]


def test_only_the_given_directions_count() -> None:
    assert found(Bowl([0.1, 50.0, 0.1]), AXES[[0, 2]]) == (0.4, True)


def test_a_rise_counts_though_the_loss_falls_again_further_out() -> None:
    losses = torch.zeros(2, 81, dtype=torch.float64)
    losses[1, 40 - 7] = 0.2
    assert epsilon(losses) == (pytest.approx(0.07), False)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_counts_as_raised(value: float) -> None:
    losses = torch.zeros(2, 81, dtype=torch.float64)
    losses[0, :11] = value
    assert epsilon(losses) == (pytest.approx(0.3), False)


@pytest.mark.parametrize("gain", [1.0, 3.0, 10.0])
def test_networks_as_in_the_whole_scan(problem: Any, gain: float) -> None:
    with torch.no_grad():
        for parameter in problem.module.parameters():
            parameter.mul_(gain)
    loss = problem.loss()
    random = torch.Generator().manual_seed(0)
    directions = spectrum(Hessian(loss), random, k=4, tolerance=1e-4).vectors
    assert found(loss, directions) == pytest.approx(published(loss, directions))


def test_losses_are_not_read_one_by_one(regression: Any) -> None:
    """A fake tensor has no value: to read one, which would wait for a GPU, fails."""
    loss = regression.loss()
    directions = torch.eye(len(loss.weights), dtype=torch.float64)[:1]
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert scan(loss, directions).shape == (1, 81)
        with pytest.raises(DataDependentOutputException):
            float(loss(loss.weights))
