"""Scores by the size of a filter (Li et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from gst.registry import register


@register("l1")
def l1(weights: Tensor) -> Tensor:
    """Return the sum of |w| over a filter's weights."""
    return weights.flatten(2).abs().sum(2)


@register("l2")
def l2(weights: Tensor) -> Tensor:
    """Return the Euclidean norm of a filter's weights."""
    return weights.flatten(2).square().sum(2).sqrt()
