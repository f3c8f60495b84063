"""A user's own arrays: one .npz file a split."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gst.artifacts import ArtifactError
from gst.data.splits import Raw, Split
from gst.registry import register


@register("npz", needs=("{train}", "{test}"))
def npz(
    data_root: Path, *, train: str, test: str, layout: str | None, classes: Sequence[str]
) -> Raw:
    """Return the arrays `images` and `labels` of two .npz files (see gst.datasets.Npz)."""
    first, second = (_read(data_root / path, layout) for path in (train, test))
    return Raw(
        train=first,
        test=second,
        classes=tuple(classes) or _numbers(first.labels),
        source=f"{train} and {test}",
    )


def _numbers(labels: np.ndarray) -> tuple[str, ...]:
    """Name the classes by their numbers, 0 to the greatest label; at most one an example."""
    if labels.dtype.kind not in "iu" or not labels.size:
        return ()
    return tuple(map(str, range(min(int(labels.max()) + 1, labels.size))))


def _read(path: Path, layout: str | None) -> Split:
    """Read one split.

    Raises:
        ArtifactError: If the file is damaged, or its arrays are not images and labels.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except KeyError as error:
        raise ArtifactError(f"{path}: needs the arrays 'images' and 'labels': {error}") from error
    except (ValueError, TypeError, IndexError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path}: damaged or not a .npz file ({error})") from error
    return Split(_channels_first(images, layout, path), labels, str(path))


def _channels_first(images: np.ndarray, layout: str | None, path: Path) -> np.ndarray:
    """Turn images of any layout into [N, C, H, W]."""
    if layout is None:
        layout = _guess(images.shape, path)
    if images.ndim != len(layout):
        raise ArtifactError(f"{path}: images of layout {layout} have the shape {images.shape}")
    if layout == "NHW":
        return images[:, None]
    return images if layout == "NCHW" else images.transpose(0, 3, 1, 2)


def _guess(shape: tuple[int, ...], path: Path) -> str:
    """Tell the layout from the one axis of length 1 or 3."""
    if len(shape) == 3:
        return "NHW"
    if len(shape) == 4:
        first, last = shape[1] in (1, 3), shape[3] in (1, 3)
        if first != last:
            return "NCHW" if first else "NHWC"
    raise ArtifactError(
        f"{path}: cannot tell which axis of images of shape {shape} is the channels; images are "
        "[N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3, or say `layout: NHWC` or NCHW"
    )
