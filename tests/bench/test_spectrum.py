"""The command that compares the spectra, on a run's folder made by the test."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gst.__main__ import main
from gst.artifacts import write_json, write_npz, write_weights
from gst.recipe import Network, Recipe, Sgd, Training, jsonable
from gst.training.cohort import Cohort

RECIPE = Recipe(
    dataset="noise",
    network=Network(name="vgg-digits", width=0.1),
    training=Training(epochs=3, batch_size=8, optimiser=Sgd(kind="sgd", lr=0.1)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "results" / "data" / "noise"
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        images = rng.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
        write_npz(data / f"{split}.npz", {"images": images, "labels": rng.integers(0, 3, 30)}, {})
    info = {
        "name": "noise",
        "train": 30,
        "test": 30,
        "shape": [1, 8, 8],
        "classes": ["a", "b", "c"],
    }
    write_json(data / "dataset.json", {**info, "mean": [0.4], "std": [0.3]})
    run = tmp_path / "results/runs/stability/digits/noise-0/none/level-00/seeds-3-4"
    cohort = Cohort(RECIPE.network, 3, (1, 8, 8), [1, 2])
    meta = {"recipe": jsonable(RECIPE), "seeds": [3, 4]}
    write_weights(run / "weights.safetensors", cohort.state(), meta)
    return run


def test_it_prints_a_table_and_writes_a_figure(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "spectrum", str(folder), "--seed", "4", "--k", "5", "--tolerance", "1e-3"]
    assert main([*words, "--examples", "40", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "30 test images, 5 eigenvalues" in printed
    assert re.search(r"after the spectrum: trace [\d.]+ s, gradient noise [\d.]+ s, scan ", printed)
    rows = pd.read_csv(tmp_path / "spectrum.csv")
    assert list(rows) == ["method", "rank", "eigenvalue", "residual"]
    for method, found in rows.groupby("method"):
        assert str(method) in printed
        assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    lanczos = rows[rows["method"] == "Lanczos"]
    assert (lanczos["residual"] <= 1e-3).all()
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"spectrum.{suffix}").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "9"], "has the seeds 3 to 4, not 9"),
        (["--seed", "3", "--k", "0"], "expected 1 <= k"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "spectrum", str(folder), *words]) == 1
    found = capsys.readouterr().err
    assert message in found
    assert "Traceback" not in found


def test_a_folder_that_is_not_a_runs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "spectrum", str(tmp_path)]) == 1
    assert "is not the folder of a run" in capsys.readouterr().err
