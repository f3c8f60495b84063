"""MNIST and CIFAR, which torchvision downloads, verifies and reads.

The files lie below `data_root` as torchvision puts them. Its CIFAR reader unpickles, after
the checksum of each file held; nothing else in the project does.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gst.artifacts import ArtifactError
from gst.data.splits import Raw, Split
from gst.registry import register


@register(
    "mnist",
    needs=(
        "MNIST/raw/train-images-idx3-ubyte",
        "MNIST/raw/train-labels-idx1-ubyte",
        "MNIST/raw/t10k-images-idx3-ubyte",
        "MNIST/raw/t10k-labels-idx1-ubyte",
    ),
)
def mnist(data_root: Path, *, download: bool) -> Raw:
    """Return MNIST (LeCun et al. 1998): 28x28 grey digits, 60,000 and 10,000."""
    return _read("MNIST", data_root / "MNIST" / "raw", data_root, download)


@register(
    "cifar10",
    needs=(
        "cifar-10-batches-py/data_batch_1",
        "cifar-10-batches-py/data_batch_2",
        "cifar-10-batches-py/data_batch_3",
        "cifar-10-batches-py/data_batch_4",
        "cifar-10-batches-py/data_batch_5",
        "cifar-10-batches-py/test_batch",
        "cifar-10-batches-py/batches.meta",
    ),
)
def cifar10(data_root: Path, *, download: bool) -> Raw:
    """Return CIFAR-10 (Krizhevsky 2009): 32x32 colour images, 50,000 and 10,000."""
    return _read("CIFAR10", data_root / "cifar-10-batches-py", data_root, download)


@register(
    "cifar100",
    needs=("cifar-100-python/train", "cifar-100-python/test", "cifar-100-python/meta"),
)
def cifar100(data_root: Path, *, download: bool) -> Raw:
    """Return CIFAR-100 with its 100 fine labels (Krizhevsky 2009), 50,000 and 10,000."""
    return _read("CIFAR100", data_root / "cifar-100-python", data_root, download)


def _read(name: str, folder: Path, data_root: Path, download: bool) -> Raw:
    """Read one of torchvision's datasets, after a download if it is allowed and needed."""
    import torchvision

    reader = getattr(torchvision.datasets, name)

    def both(fetch: bool) -> list[Any]:
        return [reader(data_root, train=train, download=fetch) for train in (True, False)]

    try:
        try:
            train, test = both(fetch=False)
        except RuntimeError:
            if not download:
                raise
            with _one_at_a_time(data_root):
                train, test = both(fetch=True)
    except Exception as error:
        raise ArtifactError(
            f"{folder}: {name} is missing or damaged, and could not be "
            f"{'downloaded' if download else 'read'}; put sound files there, or prepare it on a "
            f"machine with a network ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
    return Raw(
        train=Split(_channels_first(train.data), np.asarray(train.targets), f"{folder} (train)"),
        test=Split(_channels_first(test.data), np.asarray(test.targets), f"{folder} (test)"),
        classes=tuple(train.classes),
        source=f"{name}, by torchvision {torchvision.__version__}",
    )


def _channels_first(data: Any) -> np.ndarray:
    """Turn [N, H, W] or [N, H, W, C] into [N, C, H, W]."""
    images = np.asarray(data)
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


@contextmanager
def _one_at_a_time(data_root: Path) -> Iterator[None]:
    """Hold back other jobs that would download into the same folder."""
    data_root.mkdir(parents=True, exist_ok=True)
    with (data_root / ".download.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
