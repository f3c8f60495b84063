"""Training of the pruned architecture from the outset ("scratch" pruning)."""

from __future__ import annotations

from gst.recipe import ScratchPruning, final_filters
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.interventions.filters import last_layers, prune_layer
from gst.training.loop import TrainingState


@register("scratch")
class PruneAtStart(Intervention):
    """Removes filters once, from the random initialisation."""

    def __init__(self, settings: ScratchPruning) -> None:
        self.settings = settings

    def before_first_step(self, state: TrainingState) -> int:
        """Prune every layer to its final width."""
        s = self.settings
        removed = 0
        layers = last_layers(state, len(s.fractions))
        for layer, fraction in zip(layers, s.fractions, strict=True):
            filters = state.cohort.weights[f"{layer.norm}.weight"].shape[1]
            keep = final_filters(fraction, filters)
            removed += prune_layer(state, layer, keep, "S", s.score)
        return removed
