"""Wrong labels in the training set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gst.artifacts import read_json, read_npz, write_npz
from gst.randomness import generator
from gst.recipe import LabelNoise, exact


def draw(
    labels: np.ndarray, classes: int, percent: float, seed: int, kind: str = "uniform"
) -> tuple[np.ndarray, np.ndarray]:
    """Give a share of the examples one of the other labels, each as likely.

    Exactly percent / 100 * N examples, rounded (a half to the even number), are chosen
    uniformly. Draws of one seed are nested: who is wrong at 20% is wrong at 40% too, with the
    same wrong label, so that noise levels are compared on paired draws.

    Args:
        labels: [N] true labels, 0 to classes - 1.
        classes: Number of classes.
        percent: Share of wrong labels, in percent, at least 0 and below 100.
        seed: Seed of the replicate.
        kind: Kind of noise; only "uniform" is known.

    Returns:
        [N] labels to train on, and [N] bool, true where the label is wrong.

    Raises:
        ValueError: If the kind is unknown, or there is no other label.

    Source: Jin et al. 2022, section 4.
    """
    if kind != "uniform":
        raise ValueError(f"unknown kind of label noise {kind!r}; the one known is uniform")
    if classes < 2:
        raise ValueError(f"label noise needs at least 2 classes, found {classes}")
    n = len(labels)
    rng = generator(seed, "labels")
    order = rng.permutation(n)
    others = (labels + rng.integers(1, classes, size=n)) % classes
    noisy = np.zeros(n, dtype=bool)
    noisy[order[: round(exact(percent) * n / 100)]] = True
    return np.where(noisy, others, labels), noisy


def write_draws(path: Path, dataset: Path, noise: LabelNoise, seeds: Sequence[int]) -> None:
    """Write the labels that a cohort trains on, one draw a seed.

    Args:
        path: The .npz file to write: labels int64 [R, N], noisy bool [R, N], seeds int64 [R].
        dataset: Folder of the prepared dataset.
        noise: Which noise.
        seeds: Seeds of the cohort.

    Raises:
        ArtifactError: If the prepared dataset is missing or damaged.
    """
    info = read_json(dataset / "dataset.json")
    labels = read_npz(dataset / "train.npz", {"labels": ("i", 1)})[0]["labels"]
    draws = [draw(labels, len(info["classes"]), noise.percent, s, noise.kind) for s in seeds]
    write_npz(
        path,
        {
            "labels": np.stack([wrong for wrong, _ in draws]),
            "noisy": np.stack([noisy for _, noisy in draws]),
            "seeds": np.array(seeds, np.int64),
        },
        {"dataset": info["name"], "percent": noise.percent, "kind": noise.kind},
    )
