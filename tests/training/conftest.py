"""A small problem that trains in milliseconds, and recipes for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gst.data.loaded import Dataset, LabelDraw
from gst.data.splits import Split
from gst.recipe import Recipe
from gst.training.run import Job

SEEDS = (0, 1)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Ninety 8x8 images of three classes, told apart by their brightest rows."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        labels = np.arange(n) % 3
        images = rng.integers(0, 120, (n, 1, 8, 8))
        for image, label in zip(images, labels, strict=True):
            image[0, 2 * label : 2 * label + 2] += 100
        return Split(images.astype(np.uint8), labels.astype(np.int64), "made by the test")

    return Dataset("bars", split(90), split(42), ("a", "b", "c"), (0.3,), (0.2,))


@pytest.fixture
def labels(dataset: Dataset) -> LabelDraw:
    stacked = np.stack([dataset.train.labels] * len(SEEDS))
    return LabelDraw(stacked, np.zeros_like(stacked, dtype=bool), SEEDS)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """Return what makes jobs that write below the test's folder."""

    def make(
        recipe: Recipe,
        name: str,
        start: str | None = None,
        early: str | None = None,
        **changes: Any,
    ) -> Job:
        values = {
            "recipe": recipe,
            "seeds": SEEDS,
            "folder": tmp_path / name,
            "checkpoint": tmp_path / "checkpoints" / f"{name}.safetensors",
            "code": "c0de",
            "device": torch.device("cpu"),
            "start": tmp_path / start / "weights.safetensors" if start else None,
            "early": tmp_path / early / "weights.safetensors" if early else None,
        }
        return Job(**(values | changes))

    return make


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """Return what makes recipes from keyword arguments over small defaults."""

    def make(
        network: str = "lenet-digits", optimiser: dict[str, Any] | None = None, **changes: Any
    ) -> Recipe:
        training = {
            "epochs": 3,
            "batch_size": 32,
            "optimiser": optimiser or {"kind": "sgd", "lr": 0.1, "momentum": 0.9},
            **changes.pop("training", {}),
        }
        value = {
            "dataset": "bars",
            "network": {"name": network, "keep_last_layer": network.startswith("lenet")},
            "training": training,
            **changes,
        }
        return Recipe.parse(json.dumps(value))

    return make
