"""Checkpoints: which are used, what a damaged one or a full disk does."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gst.artifacts import read_weights, write_weights
from gst.data.loaded import Dataset, LabelDraw
from gst.recipe import Recipe
from gst.training.checkpoint import Checkpoint, Interrupted
from gst.training.loop import TrainingState
from gst.training.run import Job, run

STEPS, STOP = 6, 4  # of a level's run, of 90 examples and two epochs; done when it is stopped


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What grows by each step that is executed; SIGTERM comes when `STOP` are."""
    steps: list[int] = []
    pause = Checkpoint.pause

    def noted(self: Checkpoint, state: TrainingState) -> None:
        if state.step:
            steps.append(state.step)
            if len(steps) == STOP:
                os.kill(os.getpid(), signal.SIGTERM)
        pause(self, state)

    monkeypatch.setattr(Checkpoint, "pause", noted)
    return steps


@pytest.fixture
def stopped(
    recipe: Callable[..., Recipe],
    job: Callable[..., Job],
    dataset: Dataset,
    labels: LabelDraw,
    executed: list[int],
) -> Job:
    """A level's run that was stopped by SIGTERM after some steps."""
    executed += range(STOP)  # Let what it starts from train undisturbed.
    pruned = {"level": 1, "rewind_epoch": 1, "intervention": {"kind": "weights"}}
    made = job(recipe(**pruned, snapshots=[2]), "level", "dense")
    run(job(made.recipe.previous(), "dense"), dataset, labels)
    executed.clear()
    with pytest.raises(Interrupted, match="stopped by SIGTERM in epoch 2 after step 1"):
        run(made, dataset, labels)
    executed.clear()
    executed += range(STOP)
    return made


def weights(made: Job) -> dict[str, bytes]:
    arrays, _ = read_weights(made.folder / "weights.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


def test_a_checkpoint_of_the_same_run_is_used(
    stopped: Job, executed: list[int], dataset: Dataset, labels: LabelDraw
) -> None:
    run(stopped, dataset, labels)
    assert len(executed) == STOP + STEPS - STOP
    whole = replace(stopped, folder=stopped.folder / "whole", checkpoint=stopped.folder / "none")
    run(whole, dataset, labels)
    assert weights(whole) == weights(stopped)


def flipped(array: np.ndarray) -> np.ndarray:
    """Return an array that differs in its last bit."""
    changed = array.copy()
    changed.view(np.uint8).flat[-1] ^= 1
    return changed


@pytest.mark.parametrize(
    "change", ["recipe", "seeds", "code", "images", "labels", "start", "cut", "garbage", "bit"]
)
def test_a_checkpoint_that_does_not_fit_is_not_used(
    change: str,
    stopped: Job,
    executed: list[int],
    dataset: Dataset,
    labels: LabelDraw,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, message = stopped, f"of another run, {change} differ"
    kept = made.checkpoint.read_bytes()
    assert made.start
    if change == "recipe":
        harder = made.recipe.intervention.model_copy(update={"fraction": 0.3})
        made = replace(made, recipe=made.recipe.model_copy(update={"intervention": harder}))
    elif change == "seeds":
        labels, made = replace(labels, seeds=(0, 2)), replace(made, seeds=(0, 2))
        arrays, meta = read_weights(made.start)
        write_weights(made.start, arrays, meta | {"seeds": [0, 2]})
    elif change == "code":
        made = replace(made, code="else")
    elif change == "images":
        split, message = replace(dataset.train, images=flipped(dataset.train.images)), "data differ"
        dataset = replace(dataset, train=split)
    elif change == "labels":
        changed, message = labels.labels.copy(), "data differ"
        changed[0, 0] = 1 - changed[0, 0]
        labels = replace(labels, labels=changed)
    elif change == "start":
        whole = made.start.read_bytes()
        made.start.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:
        message = "damaged"
        damaged = {
            "cut": kept[: len(kept) // 2],
            "garbage": b"\0" * 100,
            "bit": kept[:-1] + bytes([kept[-1] ^ 1]),
        }[change]
        made.checkpoint.write_bytes(damaged)
    executed.clear()
    executed += range(STOP)
    run(made, dataset, labels)
    error = capsys.readouterr().err
    assert "starting afresh, checkpoint not used" in error and message in error
    assert len(executed) == STOP + STEPS
    found = weights(made)
    run(made, dataset, labels)
    assert weights(made) == found


def test_no_flipped_bit_is_taken_for_the_state(stopped: Job, dataset: Dataset) -> None:
    def begin() -> TrainingState:
        made = stopped.recipe
        return TrainingState(made, (0, 1), 3, dataset.shape, 90, torch.device("cpu"))

    checkpoint = Checkpoint(stopped.folder / "kept", "c0de")
    state = begin()
    state.loss += torch.rand(state.loss.shape)
    state.rows = [{"seed": 0, "train_loss": 0.1 + 0.2, "test_loss": float("nan")}]
    checkpoint.save(state)
    kept = checkpoint.path.read_bytes()
    header = 8 + int.from_bytes(kept[:8], "little")
    rng = np.random.default_rng(0)
    places = [
        *range(64),
        *rng.integers(8 * header, size=300),
        *rng.integers(8 * len(kept), size=100),
    ]
    taken, found = 0, begin()
    for place in map(int, places):
        changed = bytearray(kept)
        changed[place // 8] ^= 1 << place % 8
        checkpoint.path.write_bytes(changed)
        if checkpoint.resume(found):  # Such as a bit of a digit that no double resolves.
            assert repr(found.rows) == repr(state.rows)
            assert torch.equal(found.loss, state.loss)
            taken, found = taken + 1, begin()
    assert taken < 10
    checkpoint.path.write_bytes(kept)
    assert checkpoint.resume(begin())


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Let no file grow beyond some bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("written", ["checkpoint", "output"])
def test_a_full_disk_leaves_the_last_checkpoint(
    written: str, stopped: Job, executed: list[int], dataset: Dataset, labels: LabelDraw
) -> None:
    every = 0.0 if written == "checkpoint" else 60.0
    kept = stopped.checkpoint.read_bytes()
    with full_disk(len(kept) // 4), pytest.raises(OSError, match="make room and run") as error:
        run(replace(stopped, checkpoint_every=every), dataset, labels)
    assert error.value.errno == errno.ENOSPC
    assert Path(error.value.filename).name == (
        "level.safetensors" if written == "checkpoint" else "epoch-2.safetensors"
    )
    assert stopped.checkpoint.read_bytes() == kept
    assert not [path for path in stopped.folder.rglob("*") if path.is_file()]
    executed.clear()
    executed += range(STOP)
    run(stopped, dataset, labels)
    assert len(executed) == STOP + STEPS - STOP
    assert not list(stopped.checkpoint.parent.iterdir())
