"""Images and labels of a split, and what a source gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Split:
    """The training or the test examples of a dataset."""

    images: np.ndarray
    """[N, C, H, W], uint8; of a streamed dataset the files instead, bytes [N]."""
    labels: np.ndarray
    """[N], the classes 0, 1, ..."""
    origin: str
    """The file or folder that they come from, for messages."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Split:
        """Return the examples at the given indices, in that order."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])


class Raw(NamedTuple):
    """What a source gives."""

    train: Split
    test: Split
    classes: tuple[str, ...]
    """Names of the labels 0, 1, ..."""
    source: str
    """Where the data come from, for readers of the results."""
    size: int | None = None
    """Side of the inputs of a streamed dataset; None if its images are in memory."""
    folder: str = ""
    """Of a streamed dataset, what its files' paths begin from, below `data_root`."""
