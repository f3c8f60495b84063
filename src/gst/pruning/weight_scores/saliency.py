"""Scores by what a weight contributes, to first order: |gradient * w|."""

from __future__ import annotations

from torch import Tensor

from gst.pruning.weight_scores import Weights
from gst.registry import register


@register("snip", gradient="loss")
def snip(weights: Weights) -> Tensor:
    """Return |dL/dw * w|, L the mean training loss.

    Source: Lee et al. 2019, equation 6. There, weights go once, before training, and L is that of
    one batch; here it is that of the whole training set at the weights that are pruned.
    """
    return _saliency(weights)


@register("synflow", gradient="flow")
def synflow(weights: Weights) -> Tensor:
    """Return |dR/dw * w|, R the flow through the network whose weights are all positive.

    Source: Tanaka et al. 2020, equation 2. There, weights go before training, in 100 rounds that
    each score anew; here a level is one round.
    """
    return _saliency(weights)


def _saliency(weights: Weights) -> Tensor:
    assert weights.gradient is not None
    return (weights.gradient * weights.values).abs()
