"""Dropout of the inputs of a dense layer (Srivastava et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes entries at random while training, and scales the others so that the mean stays.

    Which ones follows from `key` alone, so that a step's draws depend neither on the steps
    before it nor on the replicates beside it. The training loop sets it before every step.

    Args:
        probability: Probability with which an entry is zeroed, below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.key = 0

    def attach(self, layer: nn.Linear) -> None:
        """Act on the inputs of a layer from now on, as a child of it."""
        layer.add_module("dropout", self)
        layer.register_forward_pre_hook(self._on_inputs)

    def _on_inputs(self, layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (self(*inputs),)

    def forward(self, x: Tensor) -> Tensor:
        """Map entries of any shape to entries of the same; drawn on the CPU for every device."""
        if not self.training:
            return x
        draws = torch.rand(x.shape, generator=torch.Generator().manual_seed(self.key))
        return x * (draws >= self.probability).to(x) / (1 - self.probability)
