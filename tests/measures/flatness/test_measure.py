from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gst.measures.flatness import Measurement, measure
from gst.measures.flatness.epsilon import epsilon
from gst.measures.flatness.gradient_noise import gradient_noise

SETTINGS = {"k": 6, "directions": 4, "tolerance": 1e-6, "trace_samples": 40, "seed": 3}


def measured(problem: Any, **changes: Any) -> Measurement:
    return measure(
        problem.module, problem.images, problem.labels, mask=problem.mask, **{**SETTINGS, **changes}
    )


def test_every_measure_is_what_its_name_says(problem: Any) -> None:
    found = measured(problem)
    dense = problem.hessian().numpy()
    values = np.linalg.eigvalsh(dense)
    values = values[np.argsort(-np.abs(values))][:6]
    np.testing.assert_allclose(found.eigenvalues.numpy(), values, rtol=1e-4, atol=1e-6)
    assert found.converged
    assert found.trace_top == pytest.approx(values.sum(), rel=1e-4)
    assert abs(found.trace_hutchinson - np.trace(dense)) < 5 * found.trace_se
    assert (found.gradient_noise, found.gradient_variance) == gradient_noise(problem.loss())
    assert found.tic == pytest.approx(found.gradient_noise / values.sum(), rel=1e-4)
    assert found.tic_unbiased == found.gradient_noise / found.trace_hutchinson
    assert found.loss == pytest.approx(problem.at(problem.weights).item())
    assert found.examples == 11
    assert found.scan.shape == (4, 81)
    assert found.scan[:, 40].tolist() == [found.loss] * 4
    assert (found.epsilon, found.epsilon_censored) == epsilon(found.scan)


def test_the_loss_is_scanned_along_the_leading_eigenvectors(regression: Any) -> None:
    found = measured(regression)
    values, vectors = np.linalg.eigh(regression.hessian().numpy())
    for row, place in zip(found.scan, np.argsort(-np.abs(values)), strict=False):
        moved = regression.weights + 0.4 * torch.from_numpy(vectors[:, place])
        ends = regression.at(moved), regression.at(2 * regression.weights - moved)
        assert sorted(row[[0, -1]].tolist()) == pytest.approx(sorted(map(float, ends)), rel=1e-4)


def test_a_seed_gives_the_same_numbers_again(problem: Any) -> None:
    first, again, other = (
        measured(problem, seed=seed, directions=1).scalars() for seed in (3, 3, 4)
    )
    assert first == again
    assert first["trace_hutchinson"] != other["trace_hutchinson"]
    assert first["trace_top"] == pytest.approx(other["trace_top"], rel=1e-5)


def test_chunks_change_nothing(problem: Any) -> None:
    whole, parts = (measured(problem, chunk=chunk, directions=1) for chunk in (None, 4))
    assert parts.scalars() == pytest.approx(whole.scalars(), rel=1e-6)


def test_there_are_no_more_eigenvalues_than_free_weights(regression: Any) -> None:
    regression.mask = torch.zeros(15)
    regression.mask[[0, 4, 9]] = 1
    found = measured(regression)
    assert found.eigenvalues.shape == (3,)
    assert found.scan.shape == (3, 81)
    assert found.trace_hutchinson == pytest.approx(regression.hessian().trace().item())


def test_a_diverged_network_is_recorded_as_such(problem: Any) -> None:
    next(problem.module.parameters()).data.fill_(math.nan)
    found = measured(problem)
    assert not found.converged
    assert found.eigenvalues.isnan().all()
    assert found.scan.isnan().all()
    numbers = replace(found, loss=math.nan).scalars()
    assert all(math.isnan(numbers[name]) for name in ("trace_top", "tic", "epsilon", "loss"))


def test_a_hessian_that_overflows_is_recorded_as_such(regression: Any) -> None:
    regression.module.float()
    regression.images = regression.images.float() * 1e25
    regression.module.weight.data.mul_(1e-25)
    found = measured(regression)
    assert math.isfinite(found.loss)
    assert not found.converged
    assert math.isnan(found.trace_top)


def test_tensorfloat_is_off_only_meanwhile(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    seen = set()
    forward = type(problem.module).forward

    def watched(*arguments: Any) -> Any:
        seen.add((matmul.allow_tf32, cudnn.allow_tf32))
        return forward(*arguments)

    monkeypatch.setattr(type(problem.module), "forward", watched)
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = True
        measured(problem)
        assert seen == {(False, False)}
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (True, True)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
