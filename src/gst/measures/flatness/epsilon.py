"""How far the weights can move before the loss rises."""

from __future__ import annotations

import torch
from torch import Tensor

from gst.measures.flatness.loss import Loss

THRESHOLD = 0.1
"""Rise of the loss that counts."""
REACH = 0.4
"""Longest step."""
POINTS = 81
"""Steps from -REACH to REACH along each direction, 0 included."""

_CENTRE = POINTS // 2


def scan(loss: Loss, directions: Tensor) -> Tensor:
    """Return the loss at steps along each direction, 80 losses a direction and one for all.

    The steps are np.linspace(-0.4, 0.4, 81) times the unit direction (stability study, section 6
    and appendix E).

    Args:
        loss: The loss.
        directions: Unit vectors, the most curved first, [m, d].

    Returns:
        Losses, float64 [m, 81], on the CPU.
    """
    shape = len(directions), POINTS
    losses = torch.empty(shape, dtype=torch.float64, device=loss.weights.device)
    losses[:, _CENTRE] = loss(loss.weights)
    for row, direction in zip(losses, directions, strict=True):
        for place in range(POINTS):
            if place != _CENTRE:
                row[place] = loss(loss.weights + (place - _CENTRE) * REACH / _CENTRE * direction)
    return losses.cpu()


def epsilon(losses: Tensor) -> tuple[float, bool]:
    """Return the smallest step along any direction that raises the loss by at least 0.1.

    Args:
        losses: As `scan` returns them; the loss without a step is finite, and one that is not
            finite counts as raised.

    Returns:
        The step's length, and whether it is censored: 0.4 and True if no step raises the loss.
    """
    raised = ~(losses - losses[:, _CENTRE, None] < THRESHOLD)
    places = raised.any(0).nonzero().squeeze(1)
    if not len(places):
        return REACH, True
    return int((places - _CENTRE).abs().min()) * REACH / _CENTRE, False
