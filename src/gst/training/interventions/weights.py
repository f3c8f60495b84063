"""Iterative pruning of single weights between levels (regularization study, section 2)."""

from __future__ import annotations

from gst import registry
from gst.pruning.mask import count, prune_globally
from gst.recipe import WeightPruning
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.loop import TrainingState


@register("weights")
class PruneWeights(Intervention):
    """Removes a fraction of the living weights before a level's first step."""

    def __init__(self, settings: WeightPruning) -> None:
        self.settings = settings
        self.score = registry.load("gst.pruning.weight_scores", settings.score)

    def before_first_step(self, state: TrainingState) -> int:
        """Prune every level but the first, globally over the network."""
        if state.recipe.level == 0:
            return 0
        masks = {name: state.mask(name) for name in state.prunable}
        scores = {name: self.score(state.cohort.weights[name].detach()) for name in masks}
        after = prune_globally(scores, masks, self.settings.fraction)
        state.set_masks(after)
        return count(masks)[0] - count(after)[0]
