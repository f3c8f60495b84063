"""Training without some examples, against training on a data set that lacks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gst.artifacts import ArtifactError, read_npz, read_weights, write_npz
from gst.data.loaded import Dataset, LabelDraw
from gst.recipe import Recipe, jsonable
from gst.training.checkpoint import Checkpoint
from gst.training.loop import TrainingState
from gst.training.run import Job, run

RANDOM = {"by": "random", "percent": 30.0}


@pytest.fixture
def leaving_out(recipe: Callable[..., Recipe]) -> Recipe:
    return recipe(left_out=RANDOM)


def mark(examples: int, *rows: list[int]) -> np.ndarray:
    """Return which of some examples are left out, one row a seed."""
    left = np.zeros((len(rows), examples), dtype=bool)
    for own, row in zip(left, rows, strict=True):
        own[row] = True
    return left


def write(
    path: Path, left: np.ndarray, recipe: Recipe, seeds: tuple[int, ...] = (0, 1), **meta: Any
) -> Path:
    assert recipe.left_out
    given = {"left_out": jsonable(recipe.left_out), "level": None, **meta}
    write_npz(path, {"left_out": left, "seeds": np.array(seeds)}, given)
    return path


@pytest.mark.parametrize("augment", ["none", "flip-crop"])
def test_it_is_training_on_the_rest(
    tmp_path: Path, dataset: Dataset, labels: LabelDraw, job, recipe, augment: str
) -> None:
    leaving_out = recipe(left_out=RANDOM, training={"augment": augment})
    left = mark(90, [*range(0, 60, 2)], [*range(45, 75)])
    file = write(tmp_path / "left_out.npz", left, leaving_out)
    run(job(leaving_out, "without", left_out=file), dataset, labels)
    found, _ = read_weights(tmp_path / "without/weights.safetensors")
    losses, _ = read_npz(
        tmp_path / "without/examples.npz", {"left_out": ("b", 2), "train_loss": ("f", 2)}
    )
    np.testing.assert_array_equal(losses["left_out"], left)
    assert losses["train_loss"].shape == (2, 90)
    for own, seed in enumerate((0, 1)):
        rest = replace(dataset, train=dataset.train.take(np.flatnonzero(~left[own])))
        alone = LabelDraw(
            labels.labels[own : own + 1, ~left[own]],
            labels.noisy[own : own + 1, ~left[own]],
            (seed,),
        )
        whole = recipe(training={"augment": augment})
        run(job(whole, f"rest-{seed}", seeds=(seed,)), rest, alone)
        expected, _ = read_weights(tmp_path / f"rest-{seed}/weights.safetensors")
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name][own], array[0])
        rows = pd.read_parquet(tmp_path / "without/epochs.parquet").query("seed == @seed")
        columns = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
        other = pd.read_parquet(tmp_path / f"rest-{seed}/epochs.parquet")
        np.testing.assert_array_equal(rows[columns], other[columns])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("none", "no file was given of what the run leaves out"),
        ("settings", "lists .*'percent': 5.0.*, not .*'percent': 30.0"),
        ("seeds", r"does not list the seeds \[1\]"),
        ("examples", "of 80 examples; the data set has 90"),
        ("ragged", r"keeps \[88, 87\] examples for the seeds \[0, 1\]"),
        ("all", "leaves nothing to train on"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path,
    dataset: Dataset,
    labels: LabelDraw,
    job: Callable[..., Job],
    leaving_out: Recipe,
    fault: str,
    message: str,
) -> None:
    rows = [0, 1], [2, 3]
    left = {
        "examples": mark(80, *rows),
        "ragged": mark(90, [0, 1], [2, 3, 4]),
        "all": mark(90, [0], [*range(90)]),
        "seeds": mark(90, [0, 1]),
    }.get(fault, mark(90, *rows))
    seeds = (0,) if fault == "seeds" else (0, 1)
    other = {"left_out": {**RANDOM, "percent": 5.0}} if fault == "settings" else {}
    file = write(tmp_path / "left_out.npz", left, leaving_out, seeds, **other)
    made = job(leaving_out, "without", left_out=None if fault == "none" else file)
    with pytest.raises(ArtifactError, match=message):
        run(made, dataset, labels)
    assert not (tmp_path / "without").exists()


def test_a_checkpoint_of_other_examples_is_not_used(
    tmp_path: Path, leaving_out: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    left = mark(90, [0, 1], [2, 3])
    state = TrainingState(leaving_out, (0, 1), 3, (1, 8, 8), 88, torch.device("cpu"))
    other = mark(90, [0, 1], [2, 4])
    path = tmp_path / "kept.safetensors"
    kept, same, changed = (
        Checkpoint(path, "c0de", {"left_out": {"left_out": rows}}) for rows in (left, left, other)
    )
    kept.save(state)
    assert same.resume(state)
    assert not changed.resume(state)
    assert "of another run, left_out differ" in capsys.readouterr().err
