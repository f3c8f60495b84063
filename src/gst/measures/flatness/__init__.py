"""Flatness of the loss around the weights of a network (stability study, section 6)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from gst.measures.flatness.epsilon import POINTS, epsilon, scan
from gst.measures.flatness.gradient_noise import gradient_noise
from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.loss import Loss
from gst.measures.flatness.spectrum import spectrum
from gst.measures.flatness.trace import trace
from gst.randomness import key


@dataclass(frozen=True)
class Measurement:
    """Measures of flatness; all NaN, and not converged, where loss or Hessian is not finite.

    Attributes:
        eigenvalues: The Hessian's eigenvalues of largest magnitude, float64 [k].
        residuals: Residual norms of these, float64 [k].
        hvps: Hessian-vector products that the eigenvalues took.
        converged: Whether all eigenvalues are within the tolerance.
        trace_top: Sum of the eigenvalues, Tr(H) as published.
        trace_hutchinson: Unbiased estimate of the whole trace.
        trace_se: Standard error of that estimate.
        gradient_noise: Tr(C), mean squared norm of single-example gradients (uncentered).
        gradient_variance: The same about the mean gradient (centered).
        tic: Tr(C) / Tr(H) with Tr(H) as published.
        tic_unbiased: Tr(C) / Tr(H) with the unbiased Tr(H).
        scan: Losses at steps along the leading eigenvectors, float64 [directions, 81].
        epsilon: Smallest of these steps that raises the loss by 0.1.
        epsilon_censored: Whether no step of the scan did; epsilon is then the longest.
        loss: Mean cross-entropy, in nats.
        examples: Number of examples measured on.
    """

    eigenvalues: Tensor
    residuals: Tensor
    hvps: int
    converged: bool
    trace_top: float
    trace_hutchinson: float
    trace_se: float
    gradient_noise: float
    gradient_variance: float
    tic: float
    tic_unbiased: float
    scan: Tensor
    epsilon: float
    epsilon_censored: bool
    loss: float
    examples: int

    def scalars(self) -> dict[str, float]:
        """Return the measures that are single numbers, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if not isinstance(value, Tensor)}


def measure(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    k: int,
    directions: int,
    tolerance: float,
    trace_samples: int,
    seed: int,
    chunk: int | None = None,
) -> Measurement:
    """Measure how flat the loss is around a network's weights, in evaluation mode.

    The precision is that of the network's weights; TensorFloat-32 is off meanwhile.

    Args:
        module: The network.
        images: Normalised images [N, C, H, W].
        labels: int64 [N].
        mask: 1 for each weight that is free, 0 for each that is masked, [P], in the order of
            `named_parameters`; None if all are free.
        k: Number of eigenvalues.
        directions: Number of leading eigenvectors along which the loss is scanned.
        tolerance: Largest residual of an eigenvalue, relative to the largest magnitude.
        trace_samples: Random vectors for the unbiased trace.
        seed: Seed of the random vectors.
        chunk: Images that are passed through the network at once; what is fast unless given.
    """
    with _full_float32():
        loss = Loss(module, images, labels, mask=mask, chunk=chunk)
        value = float(loss(loss.weights))
        if not math.isfinite(value):
            return _undefined(min(k, len(loss.weights)), directions, value, loss.examples)
        hessian = Hessian(loss)
        try:
            leading = spectrum(hessian, _stream(seed, "lanczos"), k=k, tolerance=tolerance)
        except FloatingPointError:
            return _undefined(min(k, hessian.size), directions, value, loss.examples)
        whole, error = trace(
            hessian, _stream(seed, "trace"), samples=trace_samples, leading=leading
        )
        noise, variance = gradient_noise(loss)
        losses = scan(loss, leading.vectors[:directions])
    distance, censored = epsilon(losses)
    top = float(leading.eigenvalues.sum())
    return Measurement(
        eigenvalues=leading.eigenvalues,
        residuals=leading.residuals,
        hvps=leading.products,
        converged=leading.converged,
        trace_top=top,
        trace_hutchinson=whole,
        trace_se=error,
        gradient_noise=noise,
        gradient_variance=variance,
        tic=noise / top if top else math.nan,
        tic_unbiased=noise / whole if whole else math.nan,
        scan=losses,
        epsilon=distance,
        epsilon_censored=censored,
        loss=value,
        examples=loss.examples,
    )


def _undefined(k: int, directions: int, value: float, examples: int) -> Measurement:
    nothing = torch.full((k,), math.nan, dtype=torch.float64)
    return Measurement(
        eigenvalues=nothing,
        residuals=nothing,
        hvps=0,
        converged=False,
        trace_top=math.nan,
        trace_hutchinson=math.nan,
        trace_se=math.nan,
        gradient_noise=math.nan,
        gradient_variance=math.nan,
        tic=math.nan,
        tic_unbiased=math.nan,
        scan=torch.full((min(directions, k), POINTS), math.nan, dtype=torch.float64),
        epsilon=math.nan,
        epsilon_censored=False,
        loss=value,
        examples=examples,
    )


def _stream(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(key(seed, purpose))


@contextmanager
def _full_float32() -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
