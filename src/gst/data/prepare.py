"""Turns a source into the prepared dataset that every later stage reads."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gst.artifacts import ArtifactError, write_json, write_npz
from gst.data.cuts import cut
from gst.data.splits import Raw, Split
from gst.datasets import SOURCES, DatasetSource, Subset, check_available, reader
from gst.registry import load

BLOCK = 4096
"""Images that are looked at at once."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of each channel of ImageNet's training images, in 0..1, as torchvision states them; streamed
images are normalised by these."""


def prepare(source: DatasetSource, name: str, data_root: str | Path, folder: str | Path) -> None:
    """Read, validate and write a dataset.

    Args:
        source: Where its images come from.
        name: What configuration calls it.
        data_root: Folder below which data lie.
        folder: Where train.npz, test.npz (images uint8 [N, C, H, W], labels int64 [N]) and
            dataset.json go.

    Raises:
        ArtifactError: If data are missing, damaged or not a dataset. Nothing is written then.
    """
    folder = Path(folder)
    if missing := check_available(source, name, data_root):
        raise ArtifactError("\n".join(missing))
    raw = read(source, Path(data_root))
    if raw.size:
        write_index(raw if not isinstance(source, Subset) else cut(raw, source), name, folder)
        return
    identical = validate(raw, name)
    if isinstance(source, Subset):
        raw = cut(raw, source)
        identical = validate(raw, name)
    mean, std = channel_statistics(raw.train.images)
    for split, file in ((raw.train, "train.npz"), (raw.test, "test.npz")):
        arrays = {
            "images": np.ascontiguousarray(split.images),
            "labels": split.labels.astype(np.int64),
        }
        write_npz(folder / file, arrays, {"dataset": name})
    write_json(
        folder / "dataset.json",
        {
            "name": name,
            "classes": list(raw.classes),
            "shape": list(raw.train.images.shape[1:]),
            "mean": mean.tolist(),
            "std": std.tolist(),
            "train": len(raw.train),
            "test": len(raw.test),
            "sha256": {"train": sha256(raw.train), "test": sha256(raw.test)},
            "source": raw.source,
            "identical_across_splits": identical,
        },
    )


def write_index(raw: Raw, name: str, folder: Path) -> None:
    """Write a streamed dataset: the files and labels of each split, and no pixels.

    Raises:
        ArtifactError: If it has fewer than two classes, or one without training images.
    """
    faults = [*_class_faults(raw), *_empty_classes(raw)]
    if faults:
        raise ArtifactError("\n".join(f"{name}: {fault}" for fault in faults))
    for split, file in ((raw.train, "train.npz"), (raw.test, "test.npz")):
        write_npz(folder / file, {"files": split.images, "labels": split.labels}, {"dataset": name})
    write_json(
        folder / "dataset.json",
        {
            "name": name,
            "classes": list(raw.classes),
            "shape": [3, raw.size, raw.size],
            "mean": list(IMAGENET_MEAN),
            "std": list(IMAGENET_STD),
            "train": len(raw.train),
            "test": len(raw.test),
            "sha256": {"train": sha256(raw.train), "test": sha256(raw.test)},
            "source": raw.source,
            "stream": {"folder": raw.folder, "size": raw.size},
        },
    )


def read(source: DatasetSource, data_root: Path) -> Raw:
    """Read the images and labels of a source, neither validated nor cut to a subset.

    Raises:
        ArtifactError: If something is missing or damaged; the message names it.
    """
    name, options = reader(source)
    function = load(SOURCES, name)
    try:
        inspect.signature(function).bind(data_root, **options)
    except TypeError as error:
        raise ArtifactError(f"the options of the source {name!r}: {error}") from error
    raw: Raw = function(data_root, **options)
    return raw


def validate(raw: Raw, name: str) -> int:
    """Check that a source gave a dataset that can be trained on.

    Returns:
        The number of test images that are training images too.

    Raises:
        ArtifactError: With every fault found; each names the file and says what to do.
    """
    faults = [
        *_split_faults(raw.train, raw.classes),
        *_split_faults(raw.test, raw.classes),
    ]
    faults += _class_faults(raw)
    if not faults:
        faults = list(_dataset_faults(raw))
    identical = 0 if faults else _identical(raw.train.images, raw.test.images)
    if identical > len(raw.test) / 2:
        faults.append(
            f"{raw.test.origin}: {identical} of its {len(raw.test)} images are in "
            f"{raw.train.origin} too; give test images that were not trained on"
        )
    if faults:
        raise ArtifactError("\n".join(f"{name}: {fault}" for fault in faults))
    return identical


def _split_faults(split: Split, classes: tuple[str, ...]) -> Iterator[str]:
    """Find what is wrong with the arrays of one split."""
    images, labels, origin = split.images, split.labels, split.origin
    if images.dtype != np.uint8:
        nans = int(np.isnan(images).sum()) if images.dtype.kind == "f" else 0
        yield (
            f"{origin}: images are {images.dtype}{f' with {nans} NaN' if nans else ''}, whose "
            "scale is not known; store pixels as uint8, 0 to 255"
        )
    if images.ndim != 4 or 0 in images.shape:
        yield f"{origin}: images have the shape {images.shape}; need [N, C, H, W], none of them 0"
        return
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        yield (
            f"{origin}: labels are {labels.dtype} of shape {labels.shape}; "
            "store one integer an image, 0 for the first class"
        )
        return
    if len(labels) != len(images):
        yield f"{origin}: {len(images)} images but {len(labels)} labels; give each image one"
    outside = labels[(labels < 0) | (labels >= len(classes))]
    if len(outside):
        yield (
            f"{origin}: labels go from {labels.min()} to {labels.max()}, {len(outside)} of them "
            f"outside 0 to {len(classes) - 1}; number the {len(classes)} classes from 0"
        )


def _class_faults(raw: Raw) -> Iterator[str]:
    """Find out whether there are too few classes."""
    if len(raw.classes) < 2:
        yield f"{raw.train.origin}: a dataset has at least 2 classes, found {raw.classes}"


def _empty_classes(raw: Raw) -> Iterator[str]:
    """Find classes without training examples."""
    train = raw.train
    empty = np.flatnonzero(np.bincount(train.labels, minlength=len(raw.classes)) == 0)
    if len(empty):
        names = ", ".join(f"{k} ({raw.classes[k]})" for k in empty[:5])
        yield (
            f"{train.origin}: no training example of {len(empty)} of the {len(raw.classes)} "
            f"classes: {names}{', ...' if len(empty) > 5 else ''}; add some, or leave the class out"
        )


def _dataset_faults(raw: Raw) -> Iterator[str]:
    """Find what is wrong with two splits that are each sound."""
    train, test = raw.train, raw.test
    if train.images.shape[1:] != test.images.shape[1:]:
        yield (
            f"{test.origin}: images of shape {test.images.shape[1:]}, but those of {train.origin} "
            f"have {train.images.shape[1:]} (channels, height, width); make them equal"
        )
    yield from _empty_classes(raw)
    for channel in range(train.images.shape[1]):
        if (train.images[:, channel] == train.images[0, channel, 0, 0]).all():
            yield (
                f"{train.origin}: every pixel of channel {channel} is "
                f"{train.images[0, channel, 0, 0]}; it cannot be normalised, leave it out"
            )


def _identical(train: np.ndarray, test: np.ndarray) -> int:
    """Count the test images that occur among the training images."""

    def digests(images: np.ndarray) -> Iterator[bytes]:
        for image in images:
            yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()

    known = set(digests(train))
    return sum(digest in known for digest in digests(test))


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the pixels, scaled to 0..1, of each channel.

    Args:
        images: [N, C, H, W], uint8.

    Returns:
        Two arrays [C]; exact, since the values are counted first.
    """
    channels = images.shape[1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(1)
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1)
    return mean, np.sqrt(variance)


def sha256(split: Split) -> str:
    """Return the checksum of the images' bytes, then of the labels as little-endian int64."""
    digest = hashlib.sha256()
    for start in range(0, len(split), BLOCK):
        digest.update(split.images[start : start + BLOCK].tobytes())
    digest.update(split.labels.astype("<i8").tobytes())
    return digest.hexdigest()
