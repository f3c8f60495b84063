"""Pruning of whole filters while training goes on (stability study, section 2)."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from gst import registry
from gst.models import FilterLayer
from gst.models.gate import GatedSum
from gst.pruning.filter_scores import Filters
from gst.pruning.mask import lowest
from gst.recipe import FilterPruning, FilterSchedule, Target
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.interventions.activations import memory_name, observed, watch
from gst.training.interventions.targets import priority
from gst.training.loop import TrainingState

SCORES = "gst.pruning.filter_scores"


def last_layers(state: TrainingState, number: int | None) -> list[FilterLayer]:
    """Return the network's last prunable convolutions, in network order; all if None."""
    layers: list[FilterLayer] = state.cohort.modules[0].filter_layers()  # type: ignore[operator]
    return layers if number is None else layers[len(layers) - number :]


def living(state: TrainingState, layer: FilterLayer) -> Tensor:
    """Return which filters of a layer are not pruned, bool [R, F]."""
    return state.mask(f"{layer.norm}.weight")


def choose(
    state: TrainingState,
    layer: FilterLayer,
    candidates: Tensor,
    keep: int,
    target: Target,
    score: str,
) -> Tensor:
    """Choose filters of a layer, in every replicate, so that `keep` candidates are left.

    Args:
        state: The run.
        layer: The layer.
        candidates: Which filters may be chosen, bool [R, F]; as many in each replicate.
        keep: Number of candidates to leave.
        target: "S" chooses the lowest scores, "L" the highest, "R" random filters.
        score: Name of the registered filter score.

    Returns:
        The chosen filters, bool [R, F].
    """
    weights = state.cohort.weights
    filters = Filters(
        weights[f"{layer.conv}.weight"].detach(),
        weights[f"{layer.norm}.weight"].detach(),
        weights[f"{layer.norm}.bias"].detach(),
        state.memory.get(memory_name(layer)),
    )
    scores = registry.load(SCORES, score)(filters)
    number = int(candidates[0].sum()) - keep
    return lowest(priority(state, layer.conv, scores, target), candidates, number)


def prune(state: TrainingState, layer: FilterLayer, chosen: Tensor) -> int:
    """Prune filters of a layer.

    A pruned filter's weights and bias, and the scale and shift of its batch norm, are masked,
    and a shortcut that ends in its channel is blocked, so that the channel is exactly zero.

    Args:
        state: The run.
        layer: The layer.
        chosen: Which filters to prune, bool [R, F]; as many in each replicate.

    Returns:
        How many filters were pruned in each replicate.
    """
    alive = living(state, layer) & ~chosen
    masks = {}
    for module in (layer.conv, layer.norm):
        for name in (f"{module}.weight", f"{module}.bias"):
            if name in state.cohort.weights:
                like = state.cohort.weights[name]
                masks[name] = alive.reshape(*alive.shape, *[1] * (like.dim() - 2)).expand_as(like)
    state.set_masks(masks)
    if layer.gate is not None:
        for network, own in zip(state.cohort.modules, alive, strict=True):
            gate = network.get_submodule(layer.gate)
            assert isinstance(gate, GatedSum)
            gate.close(own)
    return int(chosen[0].sum())


class FilterEvents(Intervention):
    """Hits filters at the end of the scheduled epochs, layer by layer.

    Attributes:
        settings: The schedule.
        layers: The layers that it names, in network order; there from `attach` on.
    """

    def __init__(self, settings: FilterSchedule) -> None:
        self.settings = settings
        self.layers: list[FilterLayer] = []
        self._watches = False

    def attach(self, state: TrainingState) -> None:
        """Find the layers, and watch their activations if the score needs them."""
        self.layers = last_layers(state, self.settings.layers)
        self._watches = registry.find(SCORES, self.settings.score).facts["watches"]
        if self._watches:
            watch(state, self.layers)

    def kind(self, state: TrainingState) -> Hashable:
        """Return whether activations are watched in the next step."""
        return self._watches and observed(state)

    @torch.no_grad()
    def end_of_epoch(self, state: TrainingState) -> int:
        """Hit the layers whose schedule names this epoch."""
        number = 0
        for position, layer in enumerate(self.layers):
            events = self.settings.events(position)
            if state.epoch in events:
                filters = state.cohort.weights[f"{layer.norm}.weight"].shape[1]
                keep = self.settings.kept(position, filters, events.index(state.epoch) + 1)
                number += self.hit(state, layer, keep)
        return number

    def hit(self, state: TrainingState, layer: FilterLayer, keep: int) -> int:
        """Hit a layer so that `keep` of its filters are not hit yet; return how many it hit."""
        raise NotImplementedError


@register("filters")
class PruneFilters(FilterEvents):
    """Removes filters."""

    settings: FilterPruning

    def hit(self, state: TrainingState, layer: FilterLayer, keep: int) -> int:
        """Prune a layer until `keep` of its filters live."""
        s = self.settings
        return prune(
            state, layer, choose(state, layer, living(state, layer), keep, s.target, s.score)
        )
