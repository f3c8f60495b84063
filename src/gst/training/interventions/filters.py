"""Pruning of whole filters while training goes on (stability study, section 2)."""

from __future__ import annotations

import torch

from gst import registry
from gst.models import FilterLayer
from gst.pruning.mask import lowest
from gst.randomness import key
from gst.recipe import FilterPruning
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.loop import TrainingState


def last_layers(state: TrainingState, number: int) -> list[FilterLayer]:
    """Return the network's last prunable convolutions, in network order."""
    layers: list[FilterLayer] = state.cohort.modules[0].filter_layers()  # type: ignore[operator]
    return layers[len(layers) - number :]


def prune_layer(
    state: TrainingState, layer: FilterLayer, keep: int, target: str, score: str
) -> int:
    """Prune a layer until `keep` of its filters live, in every replicate.

    A pruned filter's weights and bias, and the scale and shift of its batch norm, are masked,
    so that its channel is exactly zero.

    Args:
        state: The run.
        layer: The layer.
        keep: Number of filters to leave.
        target: "S" removes the lowest scores, "L" the highest, "R" random filters.
        score: Name of the registered filter score.

    Returns:
        How many filters were removed from each replicate.
    """
    weights = state.cohort.weights[f"{layer.conv}.weight"].detach()
    alive = state.mask(f"{layer.norm}.weight")
    remove = int(alive[0].sum()) - keep
    if target == "R":
        scores = torch.stack(
            [
                torch.rand(
                    alive.shape[1],
                    generator=torch.Generator().manual_seed(
                        key(seed, f"prune {layer.conv}", state.epoch)
                    ),
                )
                for seed in state.seeds
            ]
        ).to(weights.device)
    else:
        scores = registry.load("gst.pruning.filter_scores", score)(weights)
        scores = -scores if target == "L" else scores
    alive = alive & ~lowest(scores, alive, remove)
    names = [f"{layer.conv}.weight", f"{layer.conv}.bias"]
    names += [f"{layer.norm}.weight", f"{layer.norm}.bias"]
    masks = {}
    for name in names:
        if name in state.cohort.weights:
            like = state.cohort.weights[name]
            masks[name] = alive.reshape(*alive.shape, *[1] * (like.dim() - 2)).expand_as(like)
    state.set_masks(masks)
    return remove


@register("filters")
class PruneFilters(Intervention):
    """Removes filters at the end of the scheduled epochs, layer by layer."""

    def __init__(self, settings: FilterPruning) -> None:
        self.settings = settings

    def end_of_epoch(self, state: TrainingState) -> int:
        """Prune the layers whose schedule names this epoch."""
        s = self.settings
        removed = 0
        for position, layer in enumerate(last_layers(state, len(s.fractions))):
            events = s.events(position)
            if state.epoch in events:
                filters = state.cohort.weights[f"{layer.norm}.weight"].shape[1]
                keep = s.kept(position, filters, events.index(state.epoch) + 1)
                removed += prune_layer(state, layer, keep, s.target, s.score)
        return removed
