"""The leading eigenvalues of a symmetric matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gst.measures.flatness.hvp import Operator

_COLUMNS = 2**16
"""Columns of the basis that are mixed at once, so that no second basis is needed."""


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of largest magnitude.

    Attributes:
        eigenvalues: float64 [k], by falling magnitude.
        residuals: Norms ||H q - theta q|| of the eigenpairs, float64 [k]; an eigenvalue of H
            lies within that distance of each theta.
        vectors: Their eigenvectors, orthonormal, [k, n].
        products: Products with the matrix that were needed.
        converged: Whether every residual is within the tolerance.
    """

    eigenvalues: Tensor
    residuals: Tensor
    vectors: Tensor
    products: int
    converged: bool


def spectrum(
    operator: Operator,
    generator: torch.Generator,
    *,
    k: int,
    tolerance: float,
    basis: int | None = None,
    limit: int = 2000,
) -> Spectrum:
    """Find the k eigenvalues of largest magnitude by the Lanczos method.

    The basis V of the Krylov space grows by one product a step and is orthogonalised in full,
    twice; T = V H V^T is kept whole. When the basis is full it restarts from its leading Ritz
    vectors (thick restart; Wu and Simon 2000), so memory is bounded. If fewer than k vectors
    span a space that H maps into itself, a new random direction leads on. As with every Lanczos
    method, an eigenvalue that is exactly multiple may be counted once.

    Args:
        operator: The matrix, n x n.
        generator: Source of the random start, on the CPU.
        k: Number of eigenvalues; n if that is less.
        tolerance: Largest residual, relative to the largest eigenvalue's magnitude, of an
            eigenpair that counts as found.
        basis: Most vectors that the basis may hold; 2 k + 20 unless given.
        limit: Most products.

    Returns:
        What was found, converged or not.

    Raises:
        ValueError: If k, basis or limit leave no room.
        FloatingPointError: If a product is not finite.
    """
    n = operator.size
    k = min(k, n)
    capacity = min(2 * k + 20 if basis is None else basis, n)
    if k < 1 or limit < k or (capacity <= k and capacity < n):
        raise ValueError(
            f"expected 1 <= k < basis and k <= limit, found k {k}, basis {capacity}, limit {limit}"
        )
    eps = torch.finfo(operator.dtype).eps
    check_every = max(1, k // 10)
    rows = torch.zeros(min(capacity + 1, n), n, dtype=operator.dtype, device=operator.device)

    def draw() -> Tensor:
        return torch.randn(n, generator=generator, dtype=torch.float64).to(rows)

    start = draw()
    rows[0] = start / start.norm()
    small = torch.zeros(capacity, capacity, dtype=torch.float64, device=operator.device)
    m = products = 0
    scale = 0.0
    while True:
        product = operator(rows[m])
        products += 1
        m += 1
        overlaps, rest = _orthogonalise(product, rows[:m])
        small[:m, m - 1] = small[m - 1, :m] = overlaps.double()
        size, coupling = torch.stack([product.norm(), rest.norm()]).tolist()
        if not math.isfinite(size):
            raise FloatingPointError("a product with the matrix is not finite")
        scale = max(scale, size)
        if coupling <= 100 * eps * scale or m == n:
            coupling = 0.0
            rest = _orthogonalise(draw(), rows[:m])[1]
        if m < n:
            rows[m] = rest / rest.norm()
        if m < k or (products % check_every and m < capacity and products < limit):
            continue
        values, mix = _ritz(small[:m, :m].cpu())
        residuals = coupling * mix[-1].abs()
        converged = bool((residuals[:k] <= tolerance * values[0].abs()).all())
        if converged or products == limit:
            _mix(rows, mix[:, :k].T)
            return Spectrum(values[:k], residuals[:k], rows[:k], products, converged)
        if m == capacity:
            kept = k + (capacity - k) // 2
            _mix(rows, mix[:, :kept].T)
            rows[kept] = rows[m]
            small.zero_()
            small.diagonal()[:kept] = values[:kept].to(small)
            m = kept


def _mix(rows: Tensor, turn: Tensor) -> None:
    """Replace the first rows [p, n] by mixtures `turn` [p, m] of the first m, in place."""
    p, m = turn.shape
    turn = turn.to(rows)
    for part in torch.split(rows, _COLUMNS, dim=1):
        part[:p] = turn @ part[:m]


def _orthogonalise(vector: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return a vector's components along orthonormal rows, and the rest of it."""
    overlaps = rows @ vector
    rest = vector - overlaps @ rows
    correction = rows @ rest
    return overlaps + correction, rest - correction @ rows


def _ritz(small: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues by falling magnitude, and the eigenvectors in columns."""
    values, mix = torch.linalg.eigh(small)
    order = values.abs().argsort(descending=True, stable=True)
    return values[order], mix[:, order]
