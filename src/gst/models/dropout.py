"""Dropout of the inputs of a dense layer (Srivastava et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes entries at random while training, and scales the others so that the mean stays.

    Which ones follows from the key of `draw` alone, so that a step's draws depend neither on the
    steps before it nor on the replicates beside it. The training loop draws before every step.

    Args:
        probability: Probability with which an entry is zeroed, below 1.
        features: Number of entries an example.
    """

    def __init__(self, probability: float, features: int) -> None:
        super().__init__()
        self.probability, self.features = probability, features
        self._kept: dict[int, Tensor] = {}

    @classmethod
    def attach(cls, probability: float, layer: nn.Linear) -> None:
        """Act on the inputs of a layer from now on, as a child of it."""
        layer.add_module("dropout", cls(probability, layer.in_features))
        layer.register_forward_pre_hook(_on_inputs)

    def draw(self, key: int, examples: int, device: torch.device | str = "cpu") -> None:
        """Draw, on the CPU for every device, what the next batches of this size keep.

        Batches of one size find it in the same memory every time, where a captured step reads it.
        """
        shape = examples, self.features
        drawn = torch.rand(shape, generator=torch.Generator().manual_seed(key))
        kept = drawn >= self.probability
        if examples not in self._kept:
            self._kept[examples] = torch.empty(shape, dtype=torch.bool, device=device)
        own = self._kept[examples]
        own.copy_(kept.pin_memory() if own.is_cuda else kept, non_blocking=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map entries [B, features] to entries of the same shape."""
        if not self.training:
            return x
        return x * self._kept[len(x)].to(x) / (1 - self.probability)


def _on_inputs(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    dropout = layer.dropout
    assert isinstance(dropout, Dropout)
    return (dropout(*inputs),)
