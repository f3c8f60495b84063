"""Images that are decoded while a network trains, by one process or by two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision import transforms

from gst.artifacts import ArtifactError, read_json, read_npz, read_weights
from gst.data.loaded import Dataset, LabelDraw, load
from gst.data.prepare import prepare
from gst.datasets import Folders, ImageNet, Subset
from gst.measures.influence import Scoring, score_examples
from gst.randomness import key
from gst.recipe import Recipe
from gst.training.data import load_data
from gst.training.evaluate import evaluate
from gst.training.interventions import make
from gst.training.loop import TrainingState, train
from gst.training.processes import Processes, place

RUNNER = Path(__file__).parent / "streamed_run.py"
SIZE, TRAIN, TEST = 16, 33, 14
RECIPE: dict[str, Any] = {
    "dataset": "tiny",
    "network": {"name": "resnet20", "width": 0.25},
    "training": {
        "epochs": 2,
        "batch_size": 8,
        "optimiser": {"kind": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.001},
        "augment": "resized-crop",
    },
}
NORMAL = transforms.Compose(
    [
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `tiny` of class folders, and its index in `index`."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, n in (("train", TRAIN), ("test", TEST)):
        for k in range(n):
            height, width = 20 + k % 5, 20 + k % 7
            pixels = rng.integers(0, 120, (height, width, 3))
            pixels[..., k % 3] += 60
            path = folder / "tiny" / split / "abc"[k % 3] / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    source = Folders(kind="folders", root="tiny", size=SIZE, stream=True)
    prepare(source, "tiny", folder, folder / "index")
    return folder


@pytest.fixture(scope="module")
def dataset(root: Path) -> Dataset:
    return load(root / "index", root)


def start(
    root: Path, folder: Path, processes: int, *, stop: int = 0, signal: int = SIGTERM
) -> subprocess.CompletedProcess[str]:
    """Train in some processes; the last one gets a signal after a number of steps, if any."""
    given = {
        "data": str(root / "index"), "root": str(root), "folder": str(folder),
        "recipe": RECIPE, "stop": stop, "signal": signal,
    }  # fmt: skip
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [sys.executable, *launcher, str(RUNNER), json.dumps(given)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The folder of an undisturbed run in one process and in two."""
    folders = {n: tmp_path_factory.mktemp("runs") / str(n) for n in (1, 2)}
    for n, folder in folders.items():
        done = start(root, folder, n)
        assert done.returncode == 0, done.stderr
    return folders


def contents(folder: Path) -> dict[str, np.ndarray]:
    """Return every number of a run, but for times."""
    weights, _ = read_weights(folder / "weights.safetensors")
    rows = pd.read_parquet(folder / "epochs.parquet").drop(columns="seconds")
    names = "train_loss", "train_correct", "test_loss", "test_correct"
    with np.load(folder / "examples.npz") as examples:
        return {
            **weights,
            **{name: rows[name].to_numpy() for name in rows},
            **{f"examples/{name}": examples[name] for name in names},
        }


def test_two_processes_equal_one(runs: dict[int, Path]) -> None:
    """At the same global batch; 33 examples leave a last batch of one, so one share is empty."""
    one, two = (contents(runs[n]) for n in (1, 2))
    assert one.keys() == two.keys()
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, rtol=5e-4, atol=5e-5, err_msg=name)
    assert read_json(runs[2] / "run.json")["processes"] == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_stopped_in_an_epoch_and_resumed_is_undisturbed(
    root: Path, runs: dict[int, Path], tmp_path: Path, processes: int
) -> None:
    """The signal reaches one process alone, after step 3 of epoch 1; all stop."""
    stopped = start(root, tmp_path / "run", processes, stop=9)
    assert stopped.returncode != 0
    assert "stopped by SIGTERM in epoch 1 after step 3" in stopped.stderr
    assert (tmp_path / "run.safetensors").exists() and not (tmp_path / "run").exists()
    resumed = start(root, tmp_path / "run", processes)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from epoch 1, step 3" in resumed.stderr
    found = contents(tmp_path / "run")
    for name, expected in contents(runs[processes]).items():
        np.testing.assert_array_equal(found[name], expected, name)


def test_killed_in_an_epoch_and_resumed_is_undisturbed(
    root: Path, runs: dict[int, Path], tmp_path: Path
) -> None:
    """One of two processes is killed after step 3 of epoch 1, before that step's checkpoint."""
    killed = start(root, tmp_path / "run", 2, stop=9, signal=SIGKILL)
    assert killed.returncode != 0
    assert (tmp_path / "run.safetensors").exists() and not (tmp_path / "run").exists()
    resumed = start(root, tmp_path / "run", 2)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from epoch 1, step 2" in resumed.stderr
    found = contents(tmp_path / "run")
    for name, expected in contents(runs[2]).items():
        np.testing.assert_array_equal(found[name], expected, name)


def test_evaluation_sees_torchvision_s_middle(root: Path, dataset: Dataset) -> None:
    data = load_data(dataset, dataset.train.labels[None], training(), torch.device("cpu"))
    steps = [transforms.Resize(round(SIZE * 256 / 224)), transforms.CenterCrop(SIZE), NORMAL]
    reference = transforms.Compose(steps)
    seen = []
    data.over_train(lambda inputs, labels: seen.append(inputs) or (labels.float(),))
    for image, name in zip(torch.cat(seen), dataset.train.images, strict=True):
        expected = reference(Image.open(root / "tiny" / name.decode()))
        torch.testing.assert_close(image, expected, rtol=1e-5, atol=1e-5)


def test_training_sees_torchvision_s_crops(root: Path, dataset: Dataset) -> None:
    data = load_data(dataset, dataset.train.labels[None], training(), torch.device("cpu"))
    batches = data.epoch(Recipe.parse(json.dumps(RECIPE)), (4,), 1)
    order = torch.randperm(TRAIN, generator=torch.Generator().manual_seed(key(4, "order", 0, 1)))
    crop = transforms.RandomResizedCrop(SIZE)
    inputs, labels = batches[2]
    for image, label, example in zip(inputs[0], labels[0], order[16:24].tolist(), strict=True):
        picture = Image.open(root / "tiny" / dataset.train.images[example].decode())
        torch.manual_seed(key(4, "resized-crop", 0, 1, example))
        cropped = crop(picture)
        expected = NORMAL(transforms.functional.hflip(cropped) if torch.rand(1) < 0.5 else cropped)
        torch.testing.assert_close(image, expected, rtol=1e-5, atol=1e-5)
        assert label == dataset.train.labels[example]


def training() -> Any:
    return Recipe.parse(json.dumps(RECIPE)).training


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_depend_neither_on_workers_nor_on_processes(
    dataset: Dataset, workers: int, size: int
) -> None:
    labels, recipe = np.stack([dataset.train.labels] * 2), Recipe.parse(json.dumps(RECIPE))
    make = partial(load_data, dataset, labels, training(), torch.device("cpu"))
    whole = make(workers=0).epoch(recipe, (4, 5), 0)
    parts = [
        make(processes=Processes(rank, size), workers=workers).epoch(recipe, (4, 5), 0)
        for rank in range(size)
    ]
    for step in range(1, 5):
        for expected, *shares in zip(whole[step], *(part[step] for part in parts), strict=True):
            assert torch.equal(torch.cat(shares, 1), expected)


def test_an_epoch_is_of_the_examples_that_are_not_left_out(dataset: Dataset) -> None:
    """Labels are the numbers of the examples here, and tell which were trained on."""
    recipe = Recipe.parse(json.dumps(RECIPE))
    labels = np.tile(np.arange(TRAIN), (2, 1))
    left_out = np.zeros((2, TRAIN), dtype=bool)
    left_out[0, :5], left_out[1, 20:25] = True, True
    data = load_data(
        dataset, labels, recipe.training, torch.device("cpu"), left_out=left_out, workers=0
    )
    batches = data.epoch(recipe, (4, 5), 0)
    seen = torch.cat([batches[step][1] for step in range(len(batches))], 1)
    for own, out in zip(seen, left_out, strict=True):
        assert sorted(own.tolist()) == np.flatnonzero(~out).tolist()
        assert own.tolist() != sorted(own.tolist())


def test_el2n_scores_are_those_of_networks_alone(dataset: Dataset, tmp_path: Path) -> None:
    recipe = Recipe.parse(json.dumps(RECIPE | {"training": RECIPE["training"] | {"epochs": 1}}))
    labels = LabelDraw(dataset.train.labels[None], dataset.train.labels[None] < 0, (0,))
    found = []
    for networks in (2, 1):
        file = tmp_path / f"{networks}.npz"
        cpu = torch.device("cpu")
        job = Scoring(recipe, networks, file, tmp_path / "checkpoints", "c0de", cpu)
        score_examples(job, dataset, labels)
        assert not list(job.checkpoints.iterdir())
        arrays, meta = read_npz(file, {"scores": ("f", 3), "seeds": ("i", 1)})
        assert meta["pieces"] == 1 and meta["code"] == "c0de" and meta["seconds"] > 0
        found.append(arrays["scores"])
    scores, again = found
    assert scores.shape == (1, 2, TRAIN)
    assert (scores > 0).all() and (scores[0, 0] != scores[0, 1]).all()
    np.testing.assert_array_equal(again[0, 0], scores[0, 0])


def test_an_index_holds_files_and_no_pixels(root: Path, dataset: Dataset) -> None:
    arrays, _ = read_npz(root / "index/train.npz", {"files": ("S", 1), "labels": ("i", 1)})
    assert arrays["files"][0] == b"train/a/0.png" and len(arrays["files"]) == TRAIN
    assert dataset.shape == (3, SIZE, SIZE) and dataset.classes == ("a", "b", "c")
    with pytest.raises(ArtifactError, match="images are streamed; this job needs them in memory"):
        load(root / "index")


def test_a_subset_of_a_streamed_data_set(root: Path, tmp_path: Path) -> None:
    source = Folders(kind="folders", root="tiny", size=SIZE, stream=True)
    prepare(Subset(kind="subset", of=source, train=9), "few", root, tmp_path / "few")
    few = load(tmp_path / "few", root)
    assert np.bincount(few.train.labels).tolist() == [3, 3, 3] and len(few.test) == TEST


def test_imagenet_is_listed_from_train_and_val(root: Path, tmp_path: Path) -> None:
    (tmp_path / "imagenet").mkdir()
    for split, own in (("train", "train"), ("val", "test")):
        (tmp_path / "imagenet" / split).symlink_to(root / "tiny" / own)
    prepare(ImageNet(kind="imagenet"), "imagenet", tmp_path, tmp_path / "index")
    found = load(tmp_path / "index", tmp_path)
    assert found.shape == (3, 224, 224) and found.test.images[0].startswith(b"val/a/")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(root: Path, tmp_path: Path, workers: int) -> None:
    for name, data in (("0.png", b"no image"), ("1.png", b"none either")):
        for split in ("train", "test"):
            for label in "ab":
                path = tmp_path / "bad" / split / label / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    source = Folders(kind="folders", root="bad", size=SIZE, stream=True)
    prepare(source, "bad", tmp_path, tmp_path / "index")
    bad = load(tmp_path / "index", tmp_path)
    data = load_data(bad, bad.train.labels[None], training(), torch.device("cpu"), workers=workers)
    with pytest.raises(ArtifactError, match=r"bad/train/a/0.png: missing or damaged image"):
        data.over_train(lambda inputs, labels: (labels.float(),))


def test_training_in_bf16_is_near_float32(dataset: Dataset) -> None:
    """Both lower the loss, nearly alike, with weights that stay float32."""
    ends = {}
    for precision in ("float32", "bf16"):
        settings = RECIPE["training"] | {"precision": precision, "augment": "none", "epochs": 3}
        recipe = Recipe.parse(json.dumps(RECIPE | {"training": settings}))
        data = load_data(
            dataset, dataset.train.labels[None], recipe.training, torch.device("cpu"), workers=0
        )
        state = TrainingState(recipe, (4,), 3, dataset.shape, TRAIN, torch.device("cpu"))
        train(state, data, make(recipe))
        ends[precision] = [row["train_loss"] for row in state.rows[1:]]
        assert {weight.dtype for weight in state.cohort.weights.values()} == {torch.float32}
    full, half = map(np.array, ends.values())
    assert full[-1] < 0.8 * full[0] and half[-1] < 0.8 * half[0]
    assert (half != full).all()
    np.testing.assert_allclose(half, full, rtol=0.1)


def test_evaluating_in_bf16_is_near_float32(dataset: Dataset) -> None:
    data = load_data(dataset, dataset.train.labels[None], training(), torch.device("cpu"))
    state = TrainingState(
        Recipe.parse(json.dumps(RECIPE)), (4,), 3, dataset.shape, TRAIN, torch.device("cpu")
    )
    full, half = (
        data.over_test(partial(evaluate, state.cohort, precision=precision))[0]
        for precision in ("float32", "bf16")
    )
    torch.testing.assert_close(half, full, rtol=0.05, atol=0.05)
    assert not torch.equal(half, full)


def test_the_place_that_launchers_state() -> None:
    assert place({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8"}) == Processes(5, 8)
    assert place({"RANK": "1", "WORLD_SIZE": "2"}) == Processes(1, 2)
    assert place({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None
    assert place({}) is None
