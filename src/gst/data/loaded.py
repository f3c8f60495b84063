"""What training reads: a prepared dataset, and the labels of a cohort."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gst.artifacts import ArtifactError, read_json, read_npz
from gst.data.splits import Split


@dataclass(frozen=True)
class Stream:
    """Where the images of a streamed dataset are, and how large inputs are."""

    folder: Path
    size: int


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
    stream: Stream | None = None
    """If its images are decoded while training; the splits then hold their files."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an input."""
        if self.stream:
            return len(self.mean), self.stream.size, self.stream.size
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was read of its splits, by name."""
        return {
            f"{name} {part}": getattr(split, part)
            for name, split in (("train", self.train), ("test", self.test))
            for part in ("images", "labels")
        }


@dataclass(frozen=True)
class LabelDraw:
    """The labels that a cohort trains on."""

    labels: np.ndarray
    """[R, N], int64."""
    noisy: np.ndarray
    """[R, N], bool: where the label is wrong."""
    seeds: tuple[int, ...]
    """The seed of each of the R draws."""


def load(folder: str | Path, data_root: str | Path | None = None) -> Dataset:
    """Read a prepared dataset.

    Args:
        folder: Holds train.npz, test.npz and dataset.json.
        data_root: Folder below which data lie; None refuses streamed datasets.

    Raises:
        ArtifactError: If a file is missing or damaged, or they do not belong together.
    """
    folder = Path(folder)
    info = read_json(folder / "dataset.json")
    streamed = info.get("stream")
    if streamed and data_root is None:
        raise ArtifactError(f"{folder}: its images are streamed; this job needs them in memory")
    try:
        return Dataset(
            name=info["name"],
            train=_split(folder / "train.npz", info, info["train"]),
            test=_split(folder / "test.npz", info, info["test"]),
            classes=tuple(info["classes"]),
            mean=tuple(info["mean"]),
            std=tuple(info["std"]),
            stream=Stream(Path(data_root or "", streamed["folder"]), streamed["size"])
            if streamed
            else None,
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / 'dataset.json'}: no sound entry {error}") from error


def _split(path: Path, info: dict[str, Any], n: int) -> Split:
    name, kind, shape = "images", ("u", 4), (n, *info["shape"])
    if info.get("stream"):
        name, kind, shape = "files", ("S", 1), (n,)
    arrays, _ = read_npz(path, {name: kind, "labels": ("i", 1)})
    images, labels = arrays[name], arrays["labels"]
    if images.shape != shape or len(labels) != n:
        raise ArtifactError(
            f"{path}: dataset.json says {n} {name} of shape {list(shape[1:])}, found {name} of "
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
