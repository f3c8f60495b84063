"""The noise of single-example gradients."""

from __future__ import annotations

from gst.measures.flatness.loss import Loss
from gst.measures.flatness.per_example import squared_norms


def gradient_noise(loss: Loss) -> tuple[float, float]:
    """Return the trace of the gradients' second moment, and of their covariance.

    With g_n the gradient of example n's loss and g their mean,

        Tr(C) = 1/N sum_n ||g_n||^2,   Tr(C) - ||g||^2.

    The first, uncentered, is the noise of the stability study (section 6; Thomas et al. 2020).
    Every example's gradient counts exactly.

    Args:
        loss: The loss; gradients are taken at the weights of its network.

    Returns:
        The uncentered and the centered trace.
    """
    squares, mean = squared_norms(loss)
    uncentered = float(squares.mean())
    return uncentered, uncentered - float(mean.double().square().sum())
