from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.loss import Loss
from gst.measures.flatness.power import power_iteration
from gst.measures.flatness.spectrum import Spectrum, spectrum


def symmetric(eigenvalues: Any) -> Tensor:
    """Return a matrix with the given eigenvalues in a random basis."""
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    normal = torch.randn(len(values), len(values), generator=random, dtype=torch.float64)
    q = torch.linalg.qr(normal).Q
    return (q * values) @ q.T


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def hold_residuals(found: Spectrum, matrix: Tensor) -> None:
    rest = found.vectors @ matrix - found.eigenvalues[:, None] * found.vectors
    torch.testing.assert_close(rest.norm(dim=1), found.residuals)
    torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(len(rest)).double())


def test_it_converges_where_gaps_are_large(dense: Any) -> None:
    values = np.array([1000.0, -200.0, 40.0, -8.0, 1.0, *np.linspace(-0.1, 0.1, 35)])
    matrix = symmetric(values)
    operator = dense(matrix)
    found = power_iteration(operator, stream(), k=4, tolerance=1e-3)
    np.testing.assert_allclose(found.eigenvalues, values[:4], rtol=1e-3)
    assert found.converged
    assert found.products + 4 == operator.products
    assert found.products <= 4 * 20
    hold_residuals(found, matrix)


def test_it_is_poor_where_gaps_are_small_and_says_so(dense: Any) -> None:
    values = np.linspace(2, 1, 60)
    matrix = symmetric(values)
    found = power_iteration(dense(matrix), stream(), k=10, tolerance=1e-3)
    assert not found.converged
    assert found.residuals.median() > 10 * 1e-3 * 2
    assert np.abs(found.eigenvalues.numpy() - values[:10]).max() > 0.02
    hold_residuals(found, matrix)
    peer = spectrum(dense(matrix), stream(), k=10, tolerance=1e-3)
    assert peer.converged
    assert peer.products < found.products


def test_an_eigenvalue_once_found_is_not_found_again(dense: Any) -> None:
    found = power_iteration(dense(symmetric([9.0, 1.0])), stream(), k=5, tolerance=1e-6)
    np.testing.assert_allclose(found.eigenvalues, [9.0, 1.0], rtol=1e-6)


def test_of_a_matrix_of_zeros_all_eigenvalues_are_zero(dense: Any) -> None:
    found = power_iteration(dense(torch.zeros(6, 6).double()), stream(), k=3, tolerance=1e-6)
    assert found.eigenvalues.tolist() == found.residuals.tolist() == [0.0] * 3


@pytest.fixture
def trained() -> Loss:
    """A dense network that has learned half of the digits."""
    torch.manual_seed(0)
    pixels, digits = load_digits(return_X_y=True)
    images, labels = torch.from_numpy(pixels).float() / 8 - 1, torch.from_numpy(digits).long()
    module = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    parameters = list(module.parameters())
    for _ in range(150):
        loss = nn.functional.cross_entropy(module(images[:900]), labels[:900])
        for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= 0.3 * grad
    assert loss < 0.1
    return Loss(module, images[900:1156], labels[900:1156])


def test_lanczos_finds_a_hundred_eigenvalues_of_a_trained_network_with_less(trained: Loss) -> None:
    hessian = Hessian(trained)
    ours = spectrum(hessian, stream(), k=100, tolerance=1e-4)
    theirs = power_iteration(hessian, stream(), k=100, tolerance=1e-4)
    assert ours.converged
    assert ours.products <= 2000
    assert ours.products < theirs.products
    assert not theirs.converged
    assert ours.residuals.median() < theirs.residuals.median()
    scale = float(ours.eigenvalues[0])
    assert (ours.residuals <= 1e-4 * scale).sum() > (theirs.residuals <= 1e-4 * scale).sum()
