from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.spectrum import Spectrum, spectrum
from gst.measures.flatness.trace import trace


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def matrix() -> Tensor:
    normal = torch.randn(12, 12, generator=stream(3), dtype=torch.float64)
    return normal @ normal.T + 5 * torch.diag(torch.arange(12.0, dtype=torch.float64))


def test_diagonal_matrices_are_exact_from_any_signs(dense: Any) -> None:
    diagonal = torch.tensor([3.0, -1.0, 0.5, 4.0], dtype=torch.float64)
    found, error = trace(dense(torch.diag(diagonal)), stream(), samples=2)
    assert found == pytest.approx(6.5)
    assert error == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("known", ["nothing", "eigenvectors", "crude vectors"])
def test_it_is_unbiased_and_knows_its_error(matrix: Tensor, known: str, dense: Any) -> None:
    leading = None
    if known != "nothing":
        tolerance = 1e-9 if known == "eigenvectors" else 0.9
        leading = spectrum(dense(matrix), stream(), k=3, tolerance=tolerance)
    samples = 4000
    found, error = trace(dense(matrix), stream(1), samples=samples, leading=leading)
    assert abs(found - matrix.trace().item()) < 4 * error
    if known == "nothing":
        off = matrix - torch.diag(matrix.diagonal())
        expected = (2 * off.square().sum() / samples).sqrt().item()
        assert error == pytest.approx(expected, rel=0.1)


def test_the_mean_over_all_signs_is_exact(matrix: Tensor, dense: Any) -> None:
    """Every sign vector once, beside an arbitrary orthonormal pair: no bias at all."""
    small = matrix[:8, :8]
    q = torch.linalg.qr(torch.randn(8, 2, generator=stream(5), dtype=torch.float64)).Q.T
    ritz = torch.einsum("ji,ik,jk->j", q, small, q)
    leading = Spectrum(ritz, torch.zeros(2), q, 0, False)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 8)
    rest = signs - (signs @ q.T) @ q
    expected = ritz.sum() + torch.einsum("si,ik,sk->s", rest, small, rest).mean()
    assert expected.item() == pytest.approx(small.trace().item())
    found, error = trace(dense(small), stream(), samples=3000, leading=leading)
    assert abs(found - expected.item()) < 4 * error


def test_known_eigenvectors_make_it_surer(dense: Any) -> None:
    q = torch.linalg.qr(torch.randn(40, 40, generator=stream(5), dtype=torch.float64)).Q
    values = torch.cat([torch.tensor([90.0, -60.0]), torch.linspace(1, 2, 38)]).double()
    matrix = (q * values) @ q.T
    leading = spectrum(dense(matrix), stream(), k=2, tolerance=1e-6)
    _, plain = trace(dense(matrix), stream(1), samples=100)
    _, helped = trace(dense(matrix), stream(1), samples=100, leading=leading)
    assert helped < plain / 10


def test_a_networks_trace(problem: Any) -> None:
    hessian = Hessian(problem.loss())
    leading = spectrum(hessian, stream(), k=5, tolerance=1e-6)
    found, error = trace(hessian, stream(1), samples=150, leading=leading)
    assert abs(found - problem.hessian().trace().item()) < 4 * error


def test_one_sample_has_no_standard_error(dense: Any) -> None:
    with pytest.raises(ValueError, match="at least 2 samples"):
        trace(dense(torch.eye(2)), stream(), samples=1)
