"""Scores of whole filters, each registered by name in a module of this package.

A score takes the `Filters` of a layer and returns one number a filter, [R, F]. The registry
fact `watches` says whether it needs the layer's activations, which must then be observed while
the network trains.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Filters:
    """The F filters of a convolution, and what belongs to their channels, for R replicates.

    Attributes:
        weights: The convolution's weights, [R, F, ...].
        scale: Weight of the batch norm that follows (gamma), [R, F].
        shift: Its bias (beta), [R, F].
        activation: Running mean of each channel's summed |activation| before its ReLU, [R, F];
            None where it was not observed.
    """

    weights: Tensor
    scale: Tensor
    shift: Tensor
    activation: Tensor | None = None
