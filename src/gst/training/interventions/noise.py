"""Noise for some batches on the filters that a schedule would prune; nothing is pruned.

The paper's account is that pruning regularises as temporary noise does (stability study, section
3.3 and appendix D). Noise lasts for a number of training batches, counted from the event on. It
is in the stored weights, so that evaluations meanwhile see it as well.

What differs from the authors' code: there, batches of the test set count too, and add Gaussian
noise, without any training between them; and at the last epoch all targets are zeroed once.
"""

from __future__ import annotations

from bisect import bisect_left

import torch
from torch import Tensor

from gst.models import FilterLayer
from gst.randomness import key
from gst.recipe import FilterNoise
from gst.registry import register
from gst.training.interventions.filters import FilterEvents, choose
from gst.training.loop import TrainingState


@register("noise")
class DisturbFilters(FilterEvents):
    """Zeroes filters, or adds Gaussian noise to their weights, for some training batches.

    The targets of an event are chosen among the filters that no earlier event of the layer
    targeted, as many as pruning would remove. Noise that still lasts at a layer's next event ends
    there. Batch norms and the optimiser's moments are left alone, but for "restore".

    `state.memory` holds, for each layer, which filters were targets so far (targets/, bool
    [R, F]), and while noise lasts the numbers of those hit (hit/, [R, n]) and, for "restore", how
    they were (before/, [R, n, ...]).
    """

    settings: FilterNoise

    def hit(self, state: TrainingState, layer: FilterLayer, keep: int) -> int:
        """Choose the targets of an event, and begin their noise."""
        s = self.settings
        if f"hit/{layer.conv}" in state.memory:
            self._end(state, layer)
        scale = state.cohort.weights[f"{layer.norm}.weight"]
        before = state.memory.get(
            f"targets/{layer.conv}", torch.zeros_like(scale, dtype=torch.bool)
        )
        newest = choose(state, layer, ~before, keep, s.target, s.score)
        targets = before | newest
        state.memory[f"targets/{layer.conv}"] = targets
        hit = targets if s.hits == "cumulative" else newest
        number = int(hit[0].sum())
        if number:
            numbers = hit.nonzero()[:, 1].view(len(hit), number)
            state.memory[f"hit/{layer.conv}"] = numbers
            if s.noise == "restore":
                for name, tensor in _tensors(state, layer).items():
                    state.memory[f"before/{name}"] = tensor[_rows(numbers), numbers].detach()
            self._disturb(state, layer)
        return number

    @torch.no_grad()
    def after_step(self, state: TrainingState) -> None:
        """Renew the noise of the layers where it lasts, and end it where it has lasted."""
        for position, layer in enumerate(self.layers):
            if f"hit/{layer.conv}" in state.memory:
                events = self.settings.events(position)
                event = events[bisect_left(events, state.epoch) - 1]
                batches = (state.epoch - event - 1) * state.steps_an_epoch + state.step + 1
                if batches < self.settings.batches:
                    self._disturb(state, layer)
                else:
                    self._end(state, layer)

    def _disturb(self, state: TrainingState, layer: FilterLayer) -> None:
        hit = state.memory[f"hit/{layer.conv}"]
        weights = state.cohort.weights[f"{layer.conv}.weight"]
        if self.settings.noise == "gaussian":
            weights[_rows(hit), hit] += _gaussian(state, layer, weights, hit.shape[1])
            return
        for name in (f"{layer.conv}.weight", f"{layer.conv}.bias"):
            if name in state.cohort.weights:
                state.cohort.weights[name][_rows(hit), hit] = 0

    def _end(self, state: TrainingState, layer: FilterLayer) -> None:
        hit = state.memory.pop(f"hit/{layer.conv}")
        if self.settings.noise == "restore":
            for name, tensor in _tensors(state, layer).items():
                tensor[_rows(hit), hit] = state.memory.pop(f"before/{name}")


def _rows(numbers: Tensor) -> Tensor:
    """Return the replicate of each filter number, [R, 1] for numbers [R, n]."""
    return torch.arange(len(numbers), device=numbers.device).unsqueeze(1)


def _tensors(state: TrainingState, layer: FilterLayer) -> dict[str, Tensor]:
    """Return all that belongs to a layer's filters, [R, F, ...] each, by name."""
    cohort = state.cohort
    tensors = {**cohort.weights, **cohort.buffers}
    names = [
        f"{module}.{kind}" for module in (layer.conv, layer.norm) for kind in ("weight", "bias")
    ]
    names += [f"{layer.norm}.running_mean", f"{layer.norm}.running_var"]
    return {name: tensors[name] for name in names if name in tensors}


def _gaussian(state: TrainingState, layer: FilterLayer, weights: Tensor, number: int) -> Tensor:
    """Draw noise for `number` filters of a layer's weights, [R, number, ...].

    Its standard deviation is that of the weights of the filters that were never targets.
    """
    others = ~state.memory[f"targets/{layer.conv}"]
    noise = []
    for own, other, seed in zip(weights.detach(), others, state.seeds, strict=True):
        stream = key(seed, f"noise {layer.conv}", state.epoch, state.step)
        drawn = torch.randn(number, *own.shape[1:], generator=torch.Generator().manual_seed(stream))
        noise.append(drawn.to(own.device) * own[other].std())
    return torch.stack(noise)
