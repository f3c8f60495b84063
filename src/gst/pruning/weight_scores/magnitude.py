"""Scores by the size of a weight."""

from __future__ import annotations

from torch import Tensor

from gst.pruning.weight_scores import Weights
from gst.registry import register


@register("magnitude")
def magnitude(weights: Weights) -> Tensor:
    """Return |w|: the smallest weights are pruned (Han et al. 2015)."""
    return weights.values.abs()


@register("largest")
def largest(weights: Weights) -> Tensor:
    """Return -|w|: the largest weights are pruned (regularization study, appendix J)."""
    return -weights.values.abs()
