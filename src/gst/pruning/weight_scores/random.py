"""Scores that know nothing of the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from gst.pruning.weight_scores import Weights
from gst.registry import register


@register("random")
def random(weights: Weights) -> Tensor:
    """Return uniform random numbers (regularization study, appendix J)."""
    shape = weights.values.shape[1:]
    draws = [torch.rand(shape, generator=torch.Generator().manual_seed(k)) for k in weights.keys]
    return torch.stack(draws).to(weights.values.device)
