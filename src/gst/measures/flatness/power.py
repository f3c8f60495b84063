"""The leading eigenvalues as the stability study found them, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor

from gst.measures.flatness.hvp import Operator
from gst.measures.flatness.spectrum import Spectrum

_STEPS = 20
"""Most products for an eigenvalue."""
_STEADY = 1e-4
"""Relative change of an eigenvalue's estimate at which its iteration stops."""


def power_iteration(
    operator: Operator, generator: torch.Generator, *, k: int, tolerance: float
) -> Spectrum:
    """Find eigenvalues of largest magnitude one by one, by power iteration with deflation.

    With the pairs found so far taken out, A = H - sum_j theta_j q_j q_j^T, each step is

        theta = v^T A v,   v <- A v / ||A v||,

    until theta changes by less than a ten-thousandth, or for 20 steps. The first iteration
    starts from uniform numbers, every other one from the eigenvector before it. This is how the
    authors of the stability study took the spectra of section 6 and appendix E. Where eigenvalues
    lie close together, 20 steps do not tell them apart; the residuals say so.

    Args:
        operator: The matrix H, n x n.
        generator: Source of the random start, on the CPU.
        k: Number of eigenvalues; n if that is less.
        tolerance: Largest residual, relative to the largest eigenvalue's magnitude, of an
            eigenpair that counts as found. It does not change what is done.

    Returns:
        The pairs by falling magnitude; the vectors are of norm 1 but orthogonal only in so far as
        they converged. Residuals are those of H; the one product each that they take is not
        counted.
    """
    k = min(k, operator.size)
    values = torch.zeros(k, dtype=torch.float64)
    rows = torch.zeros(k, operator.size, dtype=operator.dtype, device=operator.device)
    vector = torch.rand(operator.size, generator=generator, dtype=torch.float64).to(rows)
    vector /= vector.norm()
    products = 0
    for j in range(k):
        theta = 0.0
        for _ in range(_STEPS):
            overlaps = rows[:j] @ vector
            product = operator(vector) - (values[:j].to(overlaps) * overlaps) @ rows[:j]
            products += 1
            before, theta = theta, float(vector.dot(product))
            size = float(product.norm())
            if size:
                vector = product / size
            if abs(theta - before) <= _STEADY * abs(theta):
                break
        values[j], rows[j] = theta, vector
    order = values.abs().argsort(descending=True, stable=True)
    values, rows = values[order], rows[order.to(rows.device)]
    rest = residuals(operator, values, rows)
    converged = bool((rest <= tolerance * values[0].abs()).all())
    return Spectrum(values, rest, rows, products, converged)


def residuals(operator: Operator, values: Tensor, vectors: Tensor) -> Tensor:
    """Return ||H q - theta q|| of each pair of an eigenvalue [k] and a vector [k, n], float64 [k].

    Each takes a product with the matrix.
    """
    norms = [
        float((operator(q) - theta * q).norm())
        for theta, q in zip(values.tolist(), vectors, strict=True)
    ]
    return torch.tensor(norms, dtype=torch.float64)
