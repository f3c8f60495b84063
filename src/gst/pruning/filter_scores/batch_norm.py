"""Scores by the expected value of a channel after batch norm and ReLU: E[BN].

The output of the batch norm is taken as N(beta, gamma^2), as it is where its input is normal. With
alpha = -beta / |gamma|, the expected value after the ReLU is (1 - Phi(alpha)) beta +
|gamma| phi(alpha): stability study, section 2 and appendix B.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gst.pruning.filter_scores import Filters
from gst.registry import register


@register("ebn", watches=False)
def ebn(filters: Filters) -> Tensor:
    """Return E[ReLU(x)] for x ~ N(beta, gamma^2)."""
    return _expected(filters.shift, filters.scale.abs())


@register("ebn_alt", watches=False)
def ebn_alt(filters: Filters) -> Tensor:
    """Return the same with gamma in place of |gamma|, as the authors' code has it.

    Where gamma is negative, this is E[min(x, 0)].
    """
    return _expected(filters.shift, filters.scale)


def _expected(mean: Tensor, deviation: Tensor) -> Tensor:
    alpha = -mean / deviation
    density = torch.exp(-alpha.square() / 2) / math.sqrt(2 * math.pi)
    value = torch.special.ndtr(-alpha) * mean + deviation * density
    return torch.where((mean == 0) & (deviation == 0), 0.0, value)
