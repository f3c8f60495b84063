"""Pruning of single weights while training goes on: a comparison for pruning of filters."""

from __future__ import annotations

from gst.pruning.mask import count, remove_lowest
from gst.recipe import GradualPruning
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.interventions.scores import score_weights
from gst.training.interventions.targets import priority
from gst.training.loop import TrainingState


@register("gradual")
class PruneGradually(Intervention):
    """Removes weights at the end of the scheduled epochs, globally over the network."""

    def __init__(self, settings: GradualPruning) -> None:
        self.settings = settings

    def end_of_epoch(self, state: TrainingState) -> int:
        """Prune if the schedule names this epoch."""
        s = self.settings
        if state.epoch not in s.events:
            return 0
        masks = {name: state.mask(name) for name in state.prunable}
        scores = {
            name: priority(state, name, own, s.target)
            for name, own in score_weights(state, s.score, state.epoch).items()
        }
        weights = sum(mask[0].numel() for mask in masks.values())
        number = count(masks)[0] - s.kept(weights, s.events.index(state.epoch) + 1)
        state.set_masks(remove_lowest(scores, masks, number))
        return number
