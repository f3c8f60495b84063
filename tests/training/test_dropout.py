"""Dropout in training: its draws belong to the replicate and the step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gst.data.loaded import Dataset
from gst.recipe import Recipe
from gst.training.checkpoint import Checkpoint
from gst.training.interventions import Intervention
from gst.training.loop import DeviceData, TrainingState, train

NETWORKS = ["lenet-digits", "vgg-digits"]


def made(recipe: Callable[..., Recipe], name: str, dropout: float = 0.5) -> Recipe:
    value = recipe(name, training={"epochs": 2})
    network = value.network.model_copy(update={"dropout": dropout})
    return value.model_copy(update={"network": network})


def begin(recipe: Recipe, seeds: list[int], dataset: Dataset) -> tuple[TrainingState, DeviceData]:
    device = torch.device("cpu")
    data = DeviceData.load(
        dataset, np.stack([dataset.train.labels] * len(seeds)), recipe.training, device
    )
    return TrainingState(recipe, seeds, 3, dataset.shape, len(data.images), device), data


def trained(recipe: Recipe, seeds: list[int], dataset: Dataset) -> dict[str, np.ndarray]:
    state, data = begin(recipe, seeds, dataset)
    train(state, data, Intervention())
    return state.arrays()


@pytest.mark.parametrize("name", NETWORKS)
def test_alone_as_in_company(name: str, recipe: Callable[..., Recipe], dataset: Dataset) -> None:
    value = made(recipe, name)
    together = trained(value, [4, 7], dataset)
    for r, seed in enumerate([4, 7]):
        for key, array in trained(value, [seed], dataset).items():
            np.testing.assert_array_equal(array[0], together[key][r], key)
    without = trained(made(recipe, name, 0.0), [4], dataset)
    assert any((array[0] != together[key][0]).any() for key, array in without.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_resumed_is_undisturbed(
    name: str, recipe: Callable[..., Recipe], dataset: Dataset, tmp_path: Path
) -> None:
    value, seeds = made(recipe, name), [0, 1]
    whole, data = begin(value, seeds, dataset)
    checkpoint = Checkpoint(tmp_path / "kept.safetensors", "c0de")

    def pause(state: TrainingState) -> None:
        if (state.epoch, state.step) == (1, 1):
            checkpoint.save(state)

    train(whole, data, Intervention(), pause=pause)
    resumed, _ = begin(value, seeds, dataset)
    assert checkpoint.resume(resumed) and resumed.step == 1
    train(resumed, data, Intervention())
    for key, array in whole.arrays().items():
        np.testing.assert_array_equal(resumed.arrays()[key], array, key)
