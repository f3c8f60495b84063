"""EL2N, the error of a prediction early in training."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """Score examples by the norm of their error, ||softmax(logits) - onehot(label)||.

    Source: Paul et al. 2021, definition 2.2; regularization study, section 3. The score of an
    example is the mean of this over independent networks.

    Args:
        logits: Outputs of the networks, [..., N, C].
        labels: The labels trained on, int64 [..., N]; leading dimensions broadcast.

    Returns:
        Errors [..., N], from 0 to the square root of 2.
    """
    target = F.one_hot(labels, logits.shape[-1])
    return (logits.softmax(-1) - target).square().sum(-1).sqrt()
