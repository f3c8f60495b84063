from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.spectrum import Spectrum, spectrum


def symmetric(eigenvalues: Any, seed: int = 0) -> Tensor:
    """Return a matrix with the given eigenvalues in a random basis."""
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    random = torch.Generator().manual_seed(seed)
    normal = torch.randn(len(values), len(values), generator=random, dtype=torch.float64)
    q = torch.linalg.qr(normal).Q
    return (q * values) @ q.T


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def check(found: Spectrum, matrix: Tensor, tolerance: float) -> None:
    """Hold a spectrum against numpy's, and its own residuals against the definition."""
    exact = np.linalg.eigvalsh(matrix.numpy())
    exact = exact[np.argsort(-np.abs(exact), kind="stable")]
    k = len(found.eigenvalues)
    error = 2 * tolerance * abs(exact[0]) + 1e-14
    np.testing.assert_allclose(found.eigenvalues.numpy(), exact[:k], rtol=0, atol=error)
    rows = found.vectors.double()
    m = len(rows)
    torch.testing.assert_close(rows @ rows.T, torch.eye(m, dtype=torch.float64), rtol=0, atol=1e-5)
    rest = rows @ matrix - found.eigenvalues[:m, None] * rows
    np.testing.assert_allclose(rest.norm(dim=1), found.residuals[:m], rtol=0.01, atol=error)


LONG = np.concatenate([[-9.0, 7.0, 5.0, -4.5, 4.0, 3.0], np.linspace(-1, 0.9, 114)])
CASES = {
    "well separated": (LONG, 5, {}),
    "into the bulk": (LONG, 20, {}),
    "with restarts": (LONG, 5, {"basis": 12}),
    "with many restarts": (LONG, 6, {"basis": 8}),
    "all of them": (np.arange(1.0, 31.0), 30, {}),
    "more than there are": (np.arange(1.0, 6.0), 9, {}),
    "low rank": (np.array([3.0, -2.0] + [0.0] * 48), 10, {}),
    "identity": (np.ones(20), 4, {}),
    "nothing": (np.zeros(20), 4, {}),
    "a number": (np.array([-2.0]), 1, {}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_against_all_eigenvalues(case: str, seed: int, dense: Any) -> None:
    values, k, options = CASES[case]
    matrix = symmetric(values)
    operator = dense(matrix)
    found = spectrum(operator, stream(seed), k=k, tolerance=1e-10, **options)
    assert found.converged
    assert found.products == operator.products
    assert found.eigenvalues.shape == found.residuals.shape == (min(k, len(values)),)
    assert found.vectors.shape == (min(k, len(values)), len(values))
    check(found, matrix, 1e-10)


def test_memory_is_bounded_by_the_basis_and_restarts_cost_few_products(dense: Any) -> None:
    matrix = symmetric(LONG)
    free = spectrum(dense(matrix), stream(), k=6, tolerance=1e-8, basis=120)
    tight = spectrum(dense(matrix), stream(), k=6, tolerance=1e-8, basis=20)
    assert tight.converged
    assert free.products <= tight.products <= 2 * free.products


def test_the_tolerance_is_held_and_saves_products(dense: Any) -> None:
    matrix = symmetric(LONG)
    products = []
    for tolerance in (1e-1, 1e-3, 1e-6):
        found = spectrum(dense(matrix), stream(), k=6, tolerance=tolerance)
        assert found.converged
        assert found.residuals.max() <= tolerance * 9
        products.append(found.products)
    assert products == sorted(products)
    assert products[0] < products[-1]


def test_what_did_not_converge_says_so(dense: Any) -> None:
    found = spectrum(dense(symmetric(LONG)), stream(), k=6, tolerance=1e-12, limit=8)
    assert not found.converged
    assert found.products == 8
    assert found.residuals.max() > 1e-12 * 9


def test_float32_reaches_a_thousandth(dense: Any) -> None:
    matrix = symmetric(LONG)
    found = spectrum(dense(matrix.float()), stream(), k=12, tolerance=1e-3)
    assert found.converged
    assert found.vectors.dtype == torch.float32
    check(found, matrix, 1e-3)


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 5, "basis": 5}, {"k": 5, "limit": 4}])
def test_settings_that_leave_no_room_are_refused(options: dict[str, int], dense: Any) -> None:
    with pytest.raises(ValueError, match="expected 1 <= k < basis and k <= limit"):
        spectrum(dense(symmetric(LONG)), stream(), tolerance=1e-3, **options)


def test_a_matrix_that_is_not_finite_is_refused(dense: Any) -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        spectrum(dense(torch.full((3, 3), torch.inf)), stream(), k=1, tolerance=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(-50, 50), min_size=1, max_size=25, unique_by=abs),
    k=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_any_matrix(values: list[int], k: int, seed: int) -> None:
    matrix = symmetric(values, seed)

    class Matrix:
        size, dtype, device = len(values), torch.float64, torch.device("cpu")

        def __call__(self, vector: Tensor) -> Tensor:
            return matrix @ vector

    found = spectrum(Matrix(), stream(seed), k=k, tolerance=1e-9)
    expected = sorted((abs(value) for value in values), reverse=True)[:k]
    np.testing.assert_allclose(found.eigenvalues.abs(), expected, rtol=0, atol=1e-7)


def test_a_networks_hessian_as_scipy_finds_it(problem: Any) -> None:
    hessian = Hessian(problem.loss())
    found = spectrum(hessian, stream(), k=6, tolerance=1e-9)

    def product(vector: np.ndarray) -> np.ndarray:
        return hessian(torch.from_numpy(vector.ravel().copy())).numpy()

    n = hessian.size
    peer = eigsh(LinearOperator((n, n), product, dtype=float), k=6, which="LM")[0]
    peer = peer[np.argsort(-np.abs(peer))]
    np.testing.assert_allclose(found.eigenvalues.numpy(), peer, rtol=1e-7, atol=1e-10)
    check(found, problem.hessian(), 1e-9)
