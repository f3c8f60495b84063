"""Running means of activations, for the filter scores that watch them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gst.models import FilterLayer
from gst.training.loop import TrainingState

EVERY = 10
"""Training batches from one update of the running means to the next."""


def memory_name(layer: FilterLayer) -> str:
    """Return the name under which `state.memory` has a layer's running means, [R, F]."""
    return f"activation/{layer.conv}"


def observed(state: TrainingState) -> bool:
    """Return whether the running means take the state's next step in."""
    return (state.epoch * state.steps_an_epoch + state.step) % EVERY == 0


def watch(state: TrainingState, layers: Sequence[FilterLayer]) -> None:
    """Keep running means of layers' activations while the network trains.

    Of each channel, the mean of the sum over batch and pixels of its |activation| before the
    ReLU: 0.9 of the old mean, at first 0, plus 0.1 of the new sum, at a run's first training
    batch and every tenth one after it (stability study, authors' code).
    """
    for layer in layers:
        filters = state.cohort.weights[f"{layer.norm}.weight"]
        state.memory.setdefault(memory_name(layer), torch.zeros_like(filters))
        for replicate, module in enumerate(state.cohort.modules):
            observed = module.get_submodule(layer.activation)
            observed.register_forward_hook(_observer(state, memory_name(layer), replicate))


def _observer(
    state: TrainingState, name: str, replicate: int
) -> Callable[[nn.Module, Any, Tensor], None]:
    @torch.no_grad()
    def observe(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if module.training and observed(state):
            total = output.abs().sum((0, 2, 3), dtype=torch.float32)
            state.memory[name][replicate].mul_(0.9).add_(total, alpha=0.1)

    return observe
