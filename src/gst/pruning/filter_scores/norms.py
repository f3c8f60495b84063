"""Scores by the size of a filter (Li et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from gst.pruning.filter_scores import Filters
from gst.registry import register


@register("l1", watches=False)
def l1(filters: Filters) -> Tensor:
    """Return the sum of |w| over a filter's weights."""
    return filters.weights.flatten(2).abs().sum(2)


@register("l2", watches=False)
def l2(filters: Filters) -> Tensor:
    """Return the Euclidean norm of a filter's weights."""
    return filters.weights.flatten(2).square().sum(2).sqrt()
