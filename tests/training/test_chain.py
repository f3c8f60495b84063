"""Levels that train one after the other in one job, which may run all of them again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gst.artifacts import read_weights
from gst.training.optimisers import Optimiser
from gst.training.run import run


def contents(folder: Path) -> list[object]:
    tensors, meta = read_weights(folder / "weights.safetensors")
    files = [(folder / name).read_bytes() for name in ("epochs.parquet", "examples.npz")]
    return [meta, {name: array.tobytes() for name, array in tensors.items()}, *files]


def test_lost_files_are_made_again_from_a_kept_checkpoint(
    dataset, labels, job, recipe, monkeypatch
) -> None:
    made = job(recipe(), "level", keep_checkpoint=True)
    run(made, dataset, labels)
    written = contents(made.folder)
    shutil.rmtree(made.folder)

    def train(*arguments: object) -> None:
        pytest.fail("a finished run trains again")

    monkeypatch.setattr(Optimiser, "update", train)
    run(made, dataset, labels)
    assert contents(made.folder) == written
    assert made.checkpoint.exists()
