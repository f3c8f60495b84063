"""The trace of a symmetric matrix, without bias."""

from __future__ import annotations

import torch
from torch import Tensor

from gst.measures.flatness.hvp import Operator
from gst.measures.flatness.spectrum import Spectrum


def trace(
    operator: Operator, generator: torch.Generator, *, samples: int, leading: Spectrum | None = None
) -> tuple[float, float]:
    """Estimate a trace by random vectors, and the standard error of the estimate.

    Tr(H) = E[z^T H z] for vectors z of independent signs (Hutchinson 1990). With orthonormal
    leading eigenvectors Q the part in their span is taken from their Ritz values q^T H q, and
    only the rest is estimated (Meyer et al. 2021, Hutch++):

        Tr(H) = sum_j q_j^T H q_j + E[(P z)^T H (P z)],   P = I - Q^T Q.

    Both are unbiased, whether or not Q has converged; the second has much less variance.

    Args:
        operator: The matrix, n x n.
        generator: Source of the signs, on the CPU; independent of what Q was found with.
        samples: Number of random vectors, and of products; at least 2.
        leading: Leading eigenvalues and eigenvectors of the matrix, if known.

    Returns:
        The estimate and its standard error over the random vectors.

    Raises:
        ValueError: If there are fewer than 2 samples.
    """
    if samples < 2:
        raise ValueError(f"expected at least 2 samples for a standard error, found {samples}")
    known = float(leading.eigenvalues.sum()) if leading else 0.0
    found = []
    for _ in range(samples):
        z = _signs(operator, generator)
        if leading:
            z = z - (leading.vectors @ z) @ leading.vectors
        found.append(z.dot(operator(z)))
    estimates = torch.stack(found).double().cpu()
    return known + float(estimates.mean()), float(estimates.std()) / samples**0.5


def _signs(operator: Operator, generator: torch.Generator) -> Tensor:
    bits = torch.randint(2, (operator.size,), generator=generator)
    return (2 * bits - 1).to(torch.int8).to(operator.device).to(operator.dtype)
