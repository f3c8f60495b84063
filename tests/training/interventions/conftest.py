"""Short runs with an intervention, seen after every step and every epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from gst.data.loaded import Dataset
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.loop import DeviceData, TrainingState, train

SEEDS = (0, 1)
Position = tuple[int, int]


@dataclass
class Seen:
    """A run that ended, and its arrays at every position.

    Attributes:
        state: The run.
        arrays: What `state.arrays` returned after each step (epoch, steps done), and, as
            (epoch, 0), after the events at the end of the epoch before.
    """

    state: TrainingState
    arrays: dict[Position, dict[str, np.ndarray]] = field(default_factory=dict)

    def __getitem__(self, position: Position) -> dict[str, np.ndarray]:
        return self.arrays[position]

    def targets(self) -> list[int]:
        """Return what the rows of the first seed record, from before the first step on."""
        return [row["targets"] for row in self.state.rows if row["seed"] == self.state.seeds[0]]


@pytest.fixture
def with_intervention(recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    """Return what makes recipes with an intervention, of a network of some width."""

    def make(
        intervention: dict[str, Any], network: str = "vgg-digits", width: float = 1, **changes: Any
    ) -> Recipe:
        made = recipe(network, intervention=intervention, **changes)
        scaled = made.network.model_copy(update={"width": float(width)})
        return made.model_copy(update={"network": scaled})

    return make


@pytest.fixture
def begin(dataset: Dataset) -> Callable[..., tuple[TrainingState, DeviceData]]:
    """Return what builds the state of a run before its first step, and its data."""

    def start(recipe: Recipe, seeds: Sequence[int] = SEEDS) -> tuple[TrainingState, DeviceData]:
        draws = [np.random.default_rng(seed).permutation(dataset.train.labels) for seed in seeds]
        device = torch.device("cpu")
        data = DeviceData.load(dataset, np.stack(draws), recipe.training, device)
        return TrainingState(recipe, seeds, 3, dataset.shape, len(data.images), device), data

    return start


@pytest.fixture
def watched(begin: Callable[..., tuple[TrainingState, DeviceData]]) -> Callable[..., Seen]:
    """Return what trains a recipe and notes its arrays."""

    def run(recipe: Recipe, seeds: Sequence[int] = SEEDS) -> Seen:
        state, data = begin(recipe, seeds)
        seen = Seen(state)

        def note(state: TrainingState) -> None:
            seen.arrays[state.epoch, state.step] = state.arrays()

        train(state, data, interventions.make(recipe), pause=note)
        return seen

    return run
