"""What happens to a network beside its training, each kind registered in one module.

The loop calls an intervention before the first step, after every step and at the end of every
epoch. A factory takes the recipe's settings and returns one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from gst import registry
from gst.recipe import Recipe

if TYPE_CHECKING:
    from gst.training.loop import Data, TrainingState


class Intervention:
    """Leaves training alone; every kind overrides the moments that it needs.

    A moment that prunes, or puts noise on weights, returns the number of weights or filters that
    it hit in each replicate. Accuracy is then taken again, and the event recorded. What must
    survive a checkpoint goes to `state.memory`.
    """

    def attach(self, state: TrainingState) -> None:
        """Make ready for a run that begins or goes on, such as by watching its modules."""

    def before_first_step(self, state: TrainingState, data: Data) -> int:
        """Act on the cohort before a run's first step; `data` is what it trains on."""
        return 0

    def kind(self, state: TrainingState) -> Hashable:
        """Return what it does within the next step that it does not do within every step."""
        return None

    def after_step(self, state: TrainingState) -> None:
        """Act on the cohort after each step."""

    def end_of_epoch(self, state: TrainingState) -> int:
        """Act on the cohort after the last step of epoch `state.epoch`, counted from 0."""
        return 0


def make(recipe: Recipe) -> Intervention:
    """Return the intervention that a recipe asks for."""
    if recipe.intervention is None:
        return Intervention()
    return registry.load(__name__, recipe.intervention.kind)(recipe.intervention)
