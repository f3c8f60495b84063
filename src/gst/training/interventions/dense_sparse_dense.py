"""Dense-sparse-dense training (Han et al. 2017), which reviewers of the stability study named."""

from __future__ import annotations

import torch

from gst.pruning.mask import count, prune_globally
from gst.recipe import DenseSparseDense
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.interventions.scores import score_weights
from gst.training.loop import TrainingState


@register("dense-sparse-dense")
class TrainSparselyBetween(Intervention):
    """Removes weights, globally over the network, and lets them return from zero.

    Their moments in the optimiser are zero as well when they return.
    """

    def __init__(self, settings: DenseSparseDense) -> None:
        self.settings = settings

    def end_of_epoch(self, state: TrainingState) -> int:
        """Prune at the end of the sparse epoch, return at the end of the dense one."""
        masks = {name: state.mask(name) for name in state.prunable}
        if state.epoch == self.settings.sparse_epoch:
            scores = score_weights(state, self.settings.score, state.epoch)
            after = prune_globally(scores, masks, self.settings.fraction)
            state.set_masks(after)
            return count(masks)[0] - count(after)[0]
        if state.epoch == self.settings.dense_epoch:
            state.set_masks({name: torch.ones_like(mask) for name, mask in masks.items()})
        return 0
