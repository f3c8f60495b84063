"""Writes the files of small made-up runs, through the same writers as training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gst.artifacts import write_json, write_npz, write_table
from gst.layout import Cohort, RunPath
from gst.recipe import LabelNoise, Network, Recipe, Sgd, Training, WeightPruning, jsonable

EXAMPLES = 40


@dataclass
class Writer:
    """A results folder, and the recipes of the runs written to it."""

    results: Path
    expected: dict[str, Recipe]

    def recipe(self, percent: float = 0, **settings: Any) -> Recipe:
        given: dict[str, Any] = {
            "dataset": "toy",
            "network": Network(name="lenet"),
            "training": Training(epochs=4, batch_size=8, optimiser=Sgd(kind="sgd", lr=0.1)),
            "labels": LabelNoise(percent=percent),
        }
        return Recipe(**(given | settings))

    def epochs(self, seed: int, accuracies: list[float], **columns: list[Any]) -> pd.DataFrame:
        """The epochs of one seed; the first accuracy is that of the state before any step."""
        n = len(accuracies)
        accuracy = np.array(accuracies)
        table = {
            "seed": seed,
            "level": 0,
            "epoch": range(n),
            "train_accuracy": [np.nan, *np.minimum(accuracy[1:] + 0.1, 1)],
            "test_loss": 2.0 - accuracy,
            "test_accuracy": accuracy,
            "selection_accuracy": accuracy - 0.02,
            "report_accuracy": accuracy + 0.02,
            "accuracy_before": np.nan,
            "accuracy_after": np.nan,
            "targets": 0,
        }
        return pd.DataFrame(table | columns)

    def run(
        self,
        place: str,
        recipe: Recipe,
        epochs: list[pd.DataFrame],
        losses: np.ndarray | None = None,
        weights: float = 1.0,
        diverged: tuple[int, ...] = (),
        cohort: Cohort | None = None,
        left_out: np.ndarray | None = None,
    ) -> str:
        """Write a run, one table of epochs a seed; return the text of its place."""
        path = RunPath.parse(f"{place}/{cohort or Cohort(0, len(epochs) - 1)}")
        seeds = path.cohort.seeds
        folder = self.results / "runs" / str(path)
        if losses is None:
            losses = np.ones((len(seeds), EXAMPLES), dtype=np.float32)
        record = {
            "recipe": jsonable(recipe),
            "code": "c0de",
            "seeds": list(seeds),
            "diverged": list(diverged),
            "parameters": 100,
            "prunable": 90,
            "remaining": [int(90 * weights)] * len(seeds),
            "density": [weights] * len(seeds),
            "weights_remaining": [weights] * len(seeds),
            "epochs_spent": recipe.epochs_spent,
            "seconds": 6.0,
            "steps": 20,
            "peak_memory_mb": 300.0,
            "energy_joules": None,
            "threads": 1,
            "device": "cpu",
            "started": "2025-01-01T00:00:00",
            "versions": {"python": "3.11"},
            "hardware": {"cpu": "some", "gpu": None},
        }
        write_json(folder / "run.json", record)
        write_table(folder / "epochs.parquet", pd.concat(epochs, ignore_index=True))
        write_npz(
            folder / "examples.npz",
            {
                "seeds": np.array(seeds),
                "train_loss": losses.astype(np.float32),
                "train_correct": losses < 0.7,
            }
            | ({} if left_out is None else {"left_out": left_out}),
            {},
        )
        self.expected[str(path)] = recipe
        return str(path)

    def labels(self, percent: str, noisy: np.ndarray) -> None:
        """Write which examples have a wrong label, [R, N]."""
        cohort = Cohort(0, len(noisy) - 1)
        right = np.arange(noisy.shape[1]) % 3
        write_npz(
            self.results / f"labels/toy/noise-{percent}/{cohort}.npz",
            {
                "seeds": np.array(cohort.seeds),
                "noisy": noisy,
                "labels": np.where(noisy, (right + 1) % 3, right),
            },
            {},
        )

    def data(self) -> None:
        """Write a prepared data set of three classes; the first pixel of an image is its number."""
        images = np.zeros((EXAMPLES, 1, 2, 2), dtype=np.uint8)
        images[:, 0, 0, 0] = np.arange(EXAMPLES)
        folder = self.results / "data/toy"
        write_npz(folder / "train.npz", {"images": images, "labels": np.arange(EXAMPLES) % 3}, {})
        write_json(folder / "dataset.json", {"train": EXAMPLES, "classes": ["a", "b", "c"]})

    def scores(self, benchmark: str, percent: str, scores: np.ndarray) -> None:
        """Write EL2N scores, [R, K, N], their spread and the means of two halves."""
        cohort = Cohort(0, len(scores) - 1)
        half = scores.shape[1] // 2
        halves = [scores[:, i * half : (i + 1) * half].mean(axis=1) for i in (0, 1)]
        arrays = {
            "scores": scores,
            "halves": np.stack(halves, axis=1),
            "spread": scores.std(axis=1, ddof=1),
        }
        write_npz(
            self.results / f"el2n/{benchmark}/noise-{percent}/{cohort}.npz",
            {"seeds": np.array(cohort.seeds)}
            | {name: array.astype(np.float32) for name, array in arrays.items()},
            {},
        )

    def study(self, errors: dict[int, list[float]], percent: str = "0") -> None:
        """Write a dense run and pruned levels with given final test errors, one a seed."""
        for level, finals in errors.items():
            pruning = WeightPruning(kind="weights") if level else None
            recipe = self.recipe(float(percent), intervention=pruning, level=level)
            method = "pruned" if level else "dense"
            self.run(
                f"regularization/toy/noise-{percent}/{method}/level-{level:02d}",
                recipe,
                [
                    self.epochs(seed, [0.1, 0.2, 0.3, 0.4, 1 - error])
                    for seed, error in enumerate(finals)
                ],
                weights=0.8**level,
            )


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    made = Writer(tmp_path / "results", {})
    made.data()
    return made
