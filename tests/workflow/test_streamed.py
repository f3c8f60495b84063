"""A study of class folders whose images are decoded while networks train."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gst.artifacts import read_json

STUDY = {
    "name": "streamed",
    "results": "streamed",
    "datasets": {"photos": {"kind": "folders", "root": "photos", "size": 16, "stream": True}},
    "benchmarks": {
        "imagenet-resnet50": {
            "dataset": "photos",
            "scale": "reduced",
            "network": {"name": "resnet20", "width": 0.25},
            "training": {
                "epochs": 1,
                "batch_size": 8,
                "optimiser": {"kind": "sgd", "lr": 0.1},
                "milestones": [],
                "warmup_epochs": 0,
                "augment": "resized-crop",
            },
            "noise": [25],
            "inferred": [],
            "replicates": 1,
            "rewind_epoch": 0,
            "methods": ["pruned"],
            "levels": 1,
            "el2n": {"epoch": 1, "networks": 2},
        }
    },
}


def test_a_streamed_study_runs(clone, monkeypatch) -> None:
    """Pruned training and scoring in one process, dense training in two."""
    monkeypatch.setenv("GST_CPU_INSTEAD_OF_GPU", "1")
    rng = np.random.default_rng(0)
    for split, n in (("train", 4), ("test", 2)):
        for label in "abc":
            folder = clone.root / "data/photos" / split / label
            folder.mkdir(parents=True)
            for k in range(n):
                pixels = rng.integers(0, 256, (20 + k, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.jpg")
    place = "imagenet-resnet50/noise-25"
    run = clone.root / f"streamed/runs/regularization/{place}/pruned/level-01/seeds-0-0"
    scores = clone.root / f"streamed/el2n/{place}/seeds-0-0.npz"
    targets = [str(path.relative_to(clone.root)) for path in (run / "run.json", scores)]
    two = "--set-resources", "train_dense:gpu=2"
    clone.succeed(*targets, *two, "--configfile", clone.write(STUDY))
    dense = clone.root / f"streamed/runs/regularization/{place}/dense/level-00/seeds-0-0"
    assert [read_json(folder / "run.json")["processes"] for folder in (dense, run)] == [2, 1]
    log = clone.root / f"streamed/logs/runs/regularization/{place}/dense/level-00/seeds-0-0.log"
    assert log.read_text().count("epoch 1/1") == 1
    with np.load(run / "examples.npz") as examples:
        assert examples["train_loss"].shape == (1, 12) and examples["test_correct"].shape == (1, 6)
    with np.load(scores) as found:
        assert found["scores"].shape == (1, 2, 12)
    with np.load(clone.root / "streamed/labels/photos/noise-25/seeds-0-0.npz") as labels:
        assert labels["noisy"].sum() == 3
    assert not list((clone.root / "streamed/checkpoints").rglob("*.safetensors"))
