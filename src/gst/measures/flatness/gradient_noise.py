"""The noise of single-example gradients."""

from __future__ import annotations

import torch
from torch.func import grad, vmap

from gst.measures.flatness.loss import Loss

_NUMBERS = 2**26
"""Numbers that the gradients taken at once may hold; 256 MB in float32."""
_EXAMPLES = 128
"""Most examples at once; more are no faster on a CPU."""


def gradient_noise(loss: Loss) -> tuple[float, float]:
    """Return the trace of the gradients' second moment, and of their covariance.

    With g_n the gradient of example n's loss and g their mean,

        Tr(C) = 1/N sum_n ||g_n||^2,   Tr(C) - ||g||^2.

    The first, uncentered, is the noise of the stability study (section 6; Thomas et al. 2020).
    Every example's gradient is taken exactly.

    Args:
        loss: The loss; gradients are taken at the weights of its network.

    Returns:
        The uncentered and the centered trace.
    """
    size = max(1, min(_EXAMPLES, _NUMBERS // len(loss.weights)))
    gradients = vmap(grad(lambda w, x, y: loss.total(w, x[None], y[None])), in_dims=(None, 0, 0))
    squares = torch.zeros((), dtype=torch.float64, device=loss.weights.device)
    mean = torch.zeros_like(loss.weights)
    for images, labels in loss.chunks:
        for x, y in zip(torch.split(images, size), torch.split(labels, size), strict=True):
            rows = gradients(loss.weights, x, y)
            squares += rows.square().sum(1).double().sum()
            mean += rows.sum(0) / loss.examples
    uncentered = float(squares) / loss.examples
    return uncentered, uncentered - float(mean.double().square().sum())
