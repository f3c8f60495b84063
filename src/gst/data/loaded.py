"""What training reads: a prepared dataset, and the labels of a cohort."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gst.artifacts import ArtifactError, read_json, read_npz
from gst.data.splits import Split


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean of the training pixels, scaled to 0..1, a channel."""
    std: tuple[float, ...]
    """Standard deviation of the training pixels, scaled to 0..1, a channel."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class LabelDraw:
    """The labels that a cohort trains on."""

    labels: np.ndarray
    """[R, N], int64."""
    noisy: np.ndarray
    """[R, N], bool: where the label is wrong."""
    seeds: tuple[int, ...]
    """The seed of each of the R draws."""


def load(folder: str | Path) -> Dataset:
    """Read a prepared dataset.

    Args:
        folder: Holds train.npz, test.npz and dataset.json.

    Raises:
        ArtifactError: If a file is missing or damaged, or they do not belong together.
    """
    folder = Path(folder)
    info = read_json(folder / "dataset.json")
    try:
        return Dataset(
            name=info["name"],
            train=_split(folder / "train.npz", info, info["train"]),
            test=_split(folder / "test.npz", info, info["test"]),
            classes=tuple(info["classes"]),
            mean=tuple(info["mean"]),
            std=tuple(info["std"]),
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / 'dataset.json'}: no sound entry {error}") from error


def _split(path: Path, info: dict[str, Any], n: int) -> Split:
    arrays, _ = read_npz(path, {"images": ("u", 4), "labels": ("i", 1)})
    images, labels = arrays["images"], arrays["labels"]
    if images.shape != (n, *info["shape"]) or len(labels) != n:
        raise ArtifactError(
            f"{path}: dataset.json says {n} images of shape {info['shape']}, found images of "
            f"shape {images.shape} and {len(labels)} labels; prepare the dataset again"
        )
    return Split(images, labels, str(path))


def load_labels(path: str | Path) -> LabelDraw:
    """Read the labels of a cohort.

    Raises:
        ArtifactError: If the file is missing or damaged, or its arrays do not fit together.
    """
    arrays, _ = read_npz(path, {"labels": ("i", 2), "noisy": ("b", 2), "seeds": ("i", 1)})
    labels, noisy, seeds = arrays["labels"], arrays["noisy"], arrays["seeds"]
    if labels.shape != noisy.shape or len(labels) != len(seeds):
        raise ArtifactError(
            f"{path}: labels {labels.shape}, noisy {noisy.shape} and seeds {seeds.shape} "
            "do not fit together"
        )
    return LabelDraw(labels, noisy, tuple(seeds.tolist()))
