"""Pruning of single weights between levels (regularization study, section 2)."""

from __future__ import annotations

from gst.pruning.mask import count, prune_globally, prune_layerwise
from gst.recipe import WeightPruning
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.interventions.scores import score_weights
from gst.training.loop import Data, TrainingState


@register("weights")
class PruneWeights(Intervention):
    """Removes a fraction of the living weights before a level's first step."""

    def __init__(self, settings: WeightPruning) -> None:
        self.settings = settings

    def before_first_step(self, state: TrainingState, data: Data) -> int:
        """Prune every level but the first; in one shot, what the levels up to it remove."""
        s, level = self.settings, state.recipe.level
        if level == 0:
            return 0
        masks = {name: state.mask(name) for name in state.prunable}
        scores = score_weights(state, s.score, level, data)
        prune = prune_layerwise if s.scope == "layer" else prune_globally
        after = prune(scores, masks, s.fraction, level if s.schedule == "one-shot" else 1)
        state.set_masks(after)
        return count(masks)[0] - count(after)[0]
