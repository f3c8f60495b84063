from __future__ import annotations

from typing import Any

import pytest
import torch

from gst.measures.flatness.gradient_noise import gradient_noise


def by_a_loop(problem: Any) -> tuple[float, float]:
    rows = []
    images, labels = problem.images, problem.labels
    for n in range(len(images)):
        problem.images, problem.labels = images[n : n + 1], labels[n : n + 1]
        rows.append(torch.func.grad(problem.at)(problem.weights))
    problem.images, problem.labels = images, labels
    gradients = torch.stack(rows)
    if problem.mask is not None:
        gradients = gradients * problem.mask
    spread = gradients - gradients.mean(0)
    return gradients.square().sum(1).mean().item(), spread.square().sum(1).mean().item()


@pytest.mark.parametrize("chunk", [512, 4])
def test_against_a_loop_over_examples(problem: Any, chunk: int) -> None:
    assert gradient_noise(problem.loss(chunk)) == pytest.approx(by_a_loop(problem), rel=1e-10)


def test_softmax_regression_has_its_closed_form(regression: Any) -> None:
    x = regression.images
    errors = regression.module(x).softmax(1).detach()
    errors = errors - torch.nn.functional.one_hot(regression.labels, 3)
    expected = (errors.square().sum(1) * (x.square().sum(1) + 1)).mean().item()
    assert gradient_noise(regression.loss())[0] == pytest.approx(expected, rel=1e-12)
