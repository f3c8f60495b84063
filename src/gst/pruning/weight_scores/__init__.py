"""Scores of single weights, each registered by name in a module of this package.

A score takes the `Weights` of a layer and returns one number a weight, [R, ...]; the lowest are
pruned. The registry fact `gradient` names the quantity whose gradient it needs; without it, it
needs none:

    "loss"    the mean training loss of the examples, evaluation mode, not augmented
    "flow"    the sum R of the outputs in evaluation mode, for an input of ones, if every
              parameter is replaced by its magnitude; the gradient is that in the magnitudes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """The weights of a layer, and what belongs to them, for R replicates.

    Attributes:
        values: The weights, [R, ...]; zero where they were pruned.
        keys: One a replicate, of the random stream that is the layer's own at this pruning.
        gradient: Of the quantity that the score asks for, [R, ...]; None if it asks for none.
    """

    values: Tensor
    keys: Sequence[int]
    gradient: Tensor | None = None
