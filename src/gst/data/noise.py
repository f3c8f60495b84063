"""Wrong labels in the training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gst.artifacts import read_json, read_npz, write_npz
from gst.randomness import generator
from gst.recipe import LabelNoise, exact


def draw(
    labels: np.ndarray, classes: Sequence[str], noise: LabelNoise, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give a share of the examples a wrong label.

    Exactly percent / 100 * N examples, rounded (a half to the even number), are chosen
    uniformly; for asymmetric noise N counts those of the mapped classes. Draws of one seed are
    nested: who is wrong at 20% is wrong at 40% too, with the same wrong label, so that noise
    levels are compared on paired draws. Uniform noise and pair flips hit the same examples.

    Args:
        labels: [N] true labels, 0 to C - 1.
        classes: Names of the C classes.
        noise: How many examples get which labels.
        seed: Seed of the replicate.

    Returns:
        [N] labels to train on, and [N] bool, true where the label is wrong.

    Raises:
        ValueError: If there is no other label, or the map names a class that is not there.

    Source: Jin et al. 2022, section 4, for uniform noise; Patrini et al. 2017 for asymmetric
    noise, Han et al. 2018 for pair flips.
    """
    if len(classes) < 2:
        raise ValueError(f"label noise needs at least 2 classes, found {len(classes)}")
    n = len(labels)
    rng = generator(seed, "labels")
    order = rng.permutation(n)
    if noise.kind == "uniform":
        others = (labels + rng.integers(1, len(classes), size=n)) % len(classes)
    elif noise.kind == "pair-flip":
        others = (labels + 1) % len(classes)
    else:
        others = _targets(classes, noise.map)[labels]
        order = order[(others != labels)[order]]
    noisy = np.zeros(n, dtype=bool)
    noisy[order[: round(exact(noise.percent) * len(order) / 100)]] = True
    return np.where(noisy, others, labels), noisy


def _targets(classes: Sequence[str], names: Mapping[str, str]) -> np.ndarray:
    """Return the number of the class that each class is mapped to; itself if it is not."""
    unknown = sorted({*names, *names.values()} - set(classes))
    if unknown:
        raise ValueError(
            f"the noise map names {', '.join(unknown)}; the classes are {', '.join(classes)}"
        )
    return np.array([list(classes).index(names.get(name, name)) for name in classes])


def write_draws(path: Path, dataset: Path, noise: LabelNoise, seeds: Sequence[int]) -> None:
    """Write the labels that a cohort trains on, one draw a seed.

    Args:
        path: The .npz file to write: labels int64 [R, N], noisy bool [R, N], original int64 [N],
            the labels before, and seeds int64 [R].
        dataset: Folder of the prepared dataset.
        noise: Which noise.
        seeds: Seeds of the cohort.

    Raises:
        ArtifactError: If the prepared dataset is missing or damaged.
        ValueError: If the noise map names a class that the dataset does not have.
    """
    info = read_json(dataset / "dataset.json")
    labels = read_npz(dataset / "train.npz", {"labels": ("i", 1)})[0]["labels"]
    draws = [draw(labels, info["classes"], noise, seed) for seed in seeds]
    write_npz(
        path,
        {
            "labels": np.stack([wrong for wrong, _ in draws]),
            "noisy": np.stack([noisy for _, noisy in draws]),
            "original": labels,
            "seeds": np.array(seeds, np.int64),
        },
        {"dataset": info["name"], **noise.model_dump(mode="json")},
    )
