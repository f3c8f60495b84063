"""Scores by how active a channel is (stability study, section 2 and appendix B)."""

from __future__ import annotations

from torch import Tensor

from gst.pruning.filter_scores import Filters
from gst.registry import register


@register("activations", watches=True)
def activations(filters: Filters) -> Tensor:
    """Return the observed activations.

    Raises:
        ValueError: If none were observed.
    """
    if filters.activation is None:
        raise ValueError(
            "the score 'activations' needs a network that has trained: choose another score for "
            "pruning before the first step"
        )
    return filters.activation
