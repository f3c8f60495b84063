"""Training of the pruned architecture from the outset ("scratch" pruning)."""

from __future__ import annotations

from gst.recipe import ScratchPruning, final_filters
from gst.registry import register
from gst.training.interventions import Intervention
from gst.training.interventions.filters import choose, last_layers, living, prune
from gst.training.loop import Data, TrainingState


@register("scratch")
class PruneAtStart(Intervention):
    """Removes filters once, from the random initialisation."""

    def __init__(self, settings: ScratchPruning) -> None:
        self.settings = settings

    def before_first_step(self, state: TrainingState, data: Data) -> int:
        """Prune every layer to its final width."""
        s = self.settings
        number = 0
        for position, layer in enumerate(last_layers(state, s.layers)):
            alive = living(state, layer)
            keep = final_filters(s.fraction(position), alive.shape[1])
            number += prune(state, layer, choose(state, layer, alive, keep, "S", s.score))
        return number
