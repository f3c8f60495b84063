"""Scores by the size of a weight."""

from __future__ import annotations

from torch import Tensor

from gst.registry import register


@register("magnitude")
def magnitude(weights: Tensor) -> Tensor:
    """Return |w|: the smallest weights are pruned (Han et al. 2015)."""
    return weights.abs()
