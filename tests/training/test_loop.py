"""Runs: what they record, what pruning does to them, how they stop and go on."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gst.artifacts import ArtifactError, read_json, read_npz, read_weights
from gst.data.loaded import Dataset, LabelDraw
from gst.layout import RUN_FILES, snapshot_name
from gst.recipe import Recipe
from gst.training import loop
from gst.training.checkpoint import Checkpoint, Interrupted
from gst.training.run import Job, run

FILTERS = {
    "kind": "filters",
    "fractions": [0.3, 0.9],
    "first_epochs": [0, 1],
    "last_epochs": [2, 1],
    "period": 2,
    "target": "L",
}


def level(
    recipe: Callable[..., Recipe],
    number: int,
    pruning: dict[str, Any] | None = None,
    **changes: Any,
) -> Recipe:
    intervention = {"kind": "weights", "fraction": 0.36, **(pruning or {})} if number else None
    return recipe(level=number, intervention=intervention, rewind_epoch=min(number, 1), **changes)


def test_levels_prune_exactly_and_start_from_trained_weights(
    recipe: Callable[..., Recipe], job: Callable[..., Job], dataset: Dataset, labels: LabelDraw
) -> None:
    run(job(level(recipe, 0), "0"), dataset, labels)
    alive = total = 64 * 100 + 100 * 50
    for number in (1, 2):
        run(job(level(recipe, number), str(number), start=str(number - 1)), dataset, labels)
        folder = job(level(recipe, number), str(number)).folder
        assert {path.name for path in folder.iterdir()} == set(RUN_FILES)
        record = read_json(folder / "run.json")
        weights, _ = read_weights(folder / "weights.safetensors")
        before, _ = read_weights(folder.parent / str(number - 1) / "weights.safetensors")
        alive -= round(alive * 0.36)
        assert record["remaining"] == [alive] * 2
        assert record["prunable"] == total
        assert record["epochs_spent"] == 3 + 2 * number
        pruned = ("fc1.weight", "fc2.weight")
        for name in pruned:
            mask = weights[f"masks/{name}"].astype(bool)
            assert (weights[f"weights/{name}"][~mask] == 0).all()
            assert (before[f"weights/{name}"] != 0)[mask].all()
        assert "masks/fc3.weight" not in weights
        sizes, masks = (
            np.concatenate([np.abs(arrays[f"{kind}/{n}"][0]).ravel() for n in pruned])
            for arrays, kind in ((before, "weights"), (weights, "masks"))
        )
        assert sizes[masks == 1].min() >= sizes[masks == 0].max()


@pytest.mark.parametrize("network", ["lenet-digits", "vgg-digits"])
def test_levels_with_rewound_weights(
    network: str,
    recipe: Callable[..., Recipe],
    job: Callable[..., Job],
    dataset: Dataset,
    labels: LabelDraw,
) -> None:
    """They lose the weights that learning-rate rewinding loses, and train on as at epoch 1."""
    made = {
        "dense": recipe(network, training={"milestones": [1, 2]}, snapshots=[1]),
        "trained": level(recipe, 1, network=network, training={"milestones": [1, 2]}),
        "rewound": level(
            recipe, 1, {"rewind": "weights"}, network=network, training={"milestones": [1, 2]}
        ),
    }
    early = made["rewound"].early()
    assert early is not None
    dense = job(made["rewound"].previous(), "dense")
    run(dense, dataset, labels)
    run(job(made["dense"], "watched"), dataset, labels)
    run(job(early, "early"), dataset, labels)
    run(job(made["trained"], "trained", "dense"), dataset, labels)
    run(job(made["rewound"], "rewound", "dense", early="early"), dataset, labels)

    folder = dense.folder.parent
    kept, _ = read_weights(folder / "watched" / snapshot_name(1))
    found, _ = read_weights(folder / "early/weights.safetensors")
    assert kept.keys() == found.keys()
    for name, array in kept.items():
        np.testing.assert_array_equal(found[name], array, name)
    trained, rewound = (
        read_weights(folder / name / "weights.safetensors")[0] for name in ("trained", "rewound")
    )
    for name in trained:
        same = name.startswith("masks/") or name.endswith(("gate", "num_batches_tracked"))
        assert np.array_equal(rewound[name], trained[name]) == same, name
    first = [
        pd.read_parquet(folder / name / "epochs.parquet").drop(columns="seconds").iloc[:2]
        for name in ("trained", "rewound")
    ]
    pd.testing.assert_frame_equal(*first, check_exact=True)


def test_the_record_of_a_run(
    recipe: Callable[..., Recipe], job: Callable[..., Job], dataset: Dataset, labels: LabelDraw
) -> None:
    made = job(recipe("vgg-digits", intervention=FILTERS, snapshots=[2]), "run")
    run(made, dataset, labels)
    epochs = pd.read_parquet(made.folder / "epochs.parquet")
    one = epochs[epochs.seed == 1].set_index("epoch")
    assert list(one.index) == [0, 1, 2, 3]
    assert math.isnan(one.train_loss[0]) and one.train_loss[1:].notna().all()
    # 64 filters lose ceil-wise 3/10 in two events; the other 64 lose 57 in one.
    assert list(one.targets) == [0, 9, 57, 10]
    assert list(one.accuracy_before.isna()) == [True, False, False, False]
    assert (one.accuracy_before[1:] == one.test_accuracy[1:]).all()
    halves = (one.selection_accuracy + one.report_accuracy) / 2
    np.testing.assert_allclose(halves, one.test_accuracy)
    examples, _ = read_npz(
        made.folder / "examples.npz", {"test_correct": ("b", 2), "train_loss": ("f", 2)}
    )
    assert examples["test_correct"][1].mean() == pytest.approx(one.accuracy_after[3])
    assert examples["train_loss"].shape == labels.labels.shape
    snapshot, meta = read_weights(made.folder / snapshot_name(2))
    assert meta["epoch"] == 2
    # At finished epoch 2, the last layer has been cut to 7 filters.
    assert (snapshot["masks/features.norm5.weight"].sum(1) == 7).all()
    pruned = snapshot["masks/features.conv5.weight"] == 0
    assert (snapshot["weights/features.conv5.weight"][pruned] == 0).all()
    record = read_json(made.folder / "run.json")
    # With a filter its bias, scale and shift go, then the next layer's inputs from it.
    left = record["parameters"] - 19 * (32 * 9 + 3) - 57 * (64 * 9 + 3)
    assert record["parameters_left"] == [left] * 2
    assert record["parameters_physical"] == [left - 19 * 7 * 9 - 57 * 3] * 2


def test_a_diverged_replicate_is_recorded(
    recipe: Callable[..., Recipe], job: Callable[..., Job], dataset: Dataset, labels: LabelDraw
) -> None:
    made = job(recipe(optimiser={"kind": "sgd", "lr": 1e30}), "run")
    run(made, dataset, labels)
    assert read_json(made.folder / "run.json")["diverged"] == [0, 1]


@pytest.mark.parametrize("case", ["weights", "rewound", "filters"])
@pytest.mark.parametrize("at", [1, 3, 4, 7])
def test_stopped_and_resumed_is_undisturbed(
    case: str,
    at: int,
    recipe: Callable[..., Recipe],
    job: Callable[..., Job],
    dataset: Dataset,
    labels: LabelDraw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts: dict[str, Any] = {}
    if case == "filters":
        adam = {"kind": "adam", "lr": 0.01}
        made = recipe("vgg-digits", adam, intervention=FILTERS, snapshots=[1, 2])
    else:
        rewind = {"rewind": "weights", "score": "snip"} if case == "rewound" else None
        made = level(recipe, 1, rewind, training={"epochs": 4})
        starts["start"] = "start"
        run(job(made.previous(), "start"), dataset, labels)
    if early := made.early():
        starts["early"] = "early"
        run(job(early, "early"), dataset, labels)
    run(job(made, "whole", **starts), dataset, labels)

    pause, steps = Checkpoint.pause, []

    def stop(self: Checkpoint, state: loop.TrainingState) -> None:
        steps.append((state.epoch, state.step))
        if len(steps) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        pause(self, state)

    monkeypatch.setattr(Checkpoint, "pause", stop)
    parts = job(made, "parts", **starts)
    with pytest.raises(Interrupted, match="SIGTERM"):
        run(parts, dataset, labels)
    assert parts.checkpoint.exists() and not parts.folder.exists()
    done = len(steps)
    run(parts, dataset, labels)
    assert not parts.checkpoint.exists()
    epochs = made.training.epochs - made.first_epoch
    assert len(steps) == epochs * (3 + 1) and done == at

    whole = job(made, "whole").folder
    for name in ["weights.safetensors", *map(snapshot_name, made.snapshots)]:
        expected, _ = read_weights(whole / name)
        found, _ = read_weights(parts.folder / name)
        assert expected.keys() == found.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, key)
    for a, b in zip(
        np.load(whole / "examples.npz").values(),
        np.load(parts.folder / "examples.npz").values(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    rows = [pd.read_parquet(f / "epochs.parquet").drop(columns="seconds") for f in
            (whole, parts.folder)]  # fmt: skip
    pd.testing.assert_frame_equal(*rows, check_exact=True)


@pytest.mark.parametrize("fault", ["recipe", "seeds", "labels", "missing", "none", "early"])
def test_a_level_refuses_a_wrong_start(
    fault: str,
    recipe: Callable[..., Recipe],
    job: Callable[..., Job],
    dataset: Dataset,
    labels: LabelDraw,
) -> None:
    run(job(level(recipe, 0), "0"), dataset, labels)
    made = {
        "recipe": job(level(recipe, 1, training={"batch_size": 16}), "1", "0"),
        "seeds": job(level(recipe, 1), "1", "0", seeds=(0, 2)),
        "labels": job(level(recipe, 1), "1", "0", seeds=(1, 2)),
        "missing": job(level(recipe, 1), "1", "nowhere"),
        "none": job(level(recipe, 1), "1"),
        "early": job(level(recipe, 1, {"rewind": "weights"}), "1", "0", early="0"),
    }[fault]
    drawn = LabelDraw(labels.labels, labels.noisy, (0, 2)) if fault == "seeds" else labels
    message = {
        "recipe": "another recipe; training differ",
        "seeds": r"holds the seeds \[0, 1\]",
        "labels": r"drawn for the seeds \[0, 1\], not \[1, 2\]",
        "missing": "no such file",
        "none": "no file was given of what the run starts from",
        "early": "0/weights.safetensors: made with another recipe; training differ",
    }[fault]
    with pytest.raises(ArtifactError, match=message):
        run(made, dataset, drawn)
    assert not made.folder.exists()


def test_extended_training_goes_on_without_pruning(
    recipe: Callable[..., Recipe], job: Callable[..., Job], dataset: Dataset, labels: LabelDraw
) -> None:
    run(job(recipe(), "0"), dataset, labels)
    made = job(recipe(level=1, rewind_epoch=1), "1", "0")
    run(made, dataset, labels)
    first = pd.read_parquet(made.folder / "epochs.parquet").iloc[0]
    end = pd.read_parquet(made.folder.parent / "0" / "epochs.parquet").iloc[-2]
    assert first.seed == end.seed and first.epoch == 1
    assert first.test_loss == end.test_loss and first.targets == 0
    assert read_json(made.folder / "run.json")["density"] == [1.0, 1.0]
