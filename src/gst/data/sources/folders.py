"""Image files in class folders: a user's own, and ImageNet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from gst.artifacts import ArtifactError
from gst.data.splits import Raw, Split
from gst.registry import register

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
"""Endings, in lower case, of the files that are read; others and hidden ones are left alone."""

GREY = {"1", "L"}
COLOUR = {"RGB", "RGBA", "LA", "P", "CMYK", "YCbCr"}


@register("folders", needs=("{root}/train", "{root}/test"))
def folders(data_root: Path, *, root: str, size: int | None, stream: bool = False) -> Raw:
    """Return the images below root/train and root/test (see gst.datasets.Folders).

    They are grey if all of them are, else colour; transparency is dropped.
    """
    if stream:
        return list_folders(data_root, root, ("train", "test"), size or 224, root)
    return read_folders(data_root / root, ("train", "test"), size, root)


def read_folders(root: Path, names: tuple[str, str], size: int | None, source: str) -> Raw:
    """Read two splits of class folders.

    Args:
        root: Folder of the two splits.
        names: Folders of the training and the test split.
        size: Side in pixels of the square that every image is made, or None to keep them.
        source: Text for readers of the results.

    Raises:
        ArtifactError: If a class folder or image is missing, damaged or unlike the others.
    """
    classes, files = _listed(root, names)
    every = [path for paths, _ in files.values() for path in paths]
    shape, mode = _common(every, size)
    splits = []
    for split, (paths, labels) in files.items():
        images = np.empty((len(paths), len(mode), *shape), np.uint8)
        for image, path in zip(images, paths, strict=True):
            image[...] = _decode(path, mode, size)
        splits.append(Split(images, np.array(labels, np.int64), str(split)))
    return Raw(splits[0], splits[1], tuple(classes), source)


def list_folders(data_root: Path, root: str, names: tuple[str, str], size: int, source: str) -> Raw:
    """List two splits of class folders, whose images are decoded while a network trains.

    Args:
        data_root: Folder below which data lie.
        root: Folder of the two splits, below it.
        names: Folders of the training and the test split.
        size: Side of the inputs in pixels.
        source: Text for readers of the results.

    Raises:
        ArtifactError: If a class folder is missing, or holds no image files.
    """
    classes, files = _listed(data_root / root, names)
    train, test = (
        Split(
            np.array([os.fsencode(path.relative_to(data_root / root)) for path in paths]),
            np.array(labels, np.int64),
            str(split),
        )
        for split, (paths, labels) in files.items()
    )
    return Raw(train, test, tuple(classes), source, size, root)


def _listed(
    root: Path, names: tuple[str, str]
) -> tuple[list[str], dict[Path, tuple[list[Path], list[int]]]]:
    """Return the classes, and of each split the files and labels."""
    train, test = (root / name for name in names)
    classes = _classes(train)
    unknown = sorted(set(_classes(test)) - set(classes))
    if unknown:
        raise ArtifactError(f"{test}: the classes {', '.join(unknown)} are not in {train}")
    return classes, {split: _files(split, classes) for split in (train, test)}


def _classes(split: Path) -> list[str]:
    """Return the names of a split's class folders."""
    if not split.is_dir():
        raise ArtifactError(f"{split}: no such folder")
    names = sorted(p.name for p in split.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise ArtifactError(f"{split}: holds no class folders; sort the images, one folder a class")
    return names


def _files(split: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Return the image files of a split, and their labels."""
    paths, labels = [], []
    for label, name in enumerate(classes):
        found = [
            path
            for path in sorted((split / name).rglob("*"))
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise ArtifactError(f"{split}: no image files ({', '.join(sorted(SUFFIXES))})")
    return paths, labels


def _common(paths: list[Path], size: int | None) -> tuple[tuple[int, int], str]:
    """Return the common height and width, and the mode (L or RGB), from the files' headers."""
    grey = True
    shape: tuple[int, int] | None = (size, size) if size else None
    for path in paths:
        with _opened(path) as image:
            if image.mode not in GREY | COLOUR:
                raise ArtifactError(
                    f"{path}: pixels of mode {image.mode!r}; convert the images to 8 bits a channel"
                )
            grey = grey and image.mode in GREY
            found = (image.height, image.width)
        shape = shape or found
        if not size and found != shape:
            raise ArtifactError(
                f"{path}: {found[1]} x {found[0]} pixels, but {paths[0]} has {shape[1]} x "
                f"{shape[0]}; give a `size` to scale all images to one"
            )
    assert shape is not None
    return shape, "L" if grey else "RGB"


def _decode(path: Path, mode: str, size: int | None) -> np.ndarray:
    """Return one image as [C, H, W]; with a size, its middle square, scaled."""
    with _opened(path) as image:
        try:
            pixels = image.convert(mode)
        except (OSError, ValueError, SyntaxError) as error:
            raise ArtifactError(f"{path}: damaged image ({error})") from error
    if size:
        side = min(pixels.size)
        left, top = ((length - side) // 2 for length in pixels.size)
        square = pixels.crop((left, top, left + side, top + side))
        pixels = square.resize((size, size), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(pixels)).transpose(2, 0, 1)


def _opened(path: Path) -> Image.Image:
    """Open an image file without decoding it."""
    try:
        return Image.open(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise ArtifactError(f"{path}: not an image ({error})") from error
