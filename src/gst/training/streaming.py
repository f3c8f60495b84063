"""A data set whose images are decoded while a run goes on, perhaps in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gst.data.device import Normalise
from gst.data.streamed import Decoded, Item, StreamedBatches
from gst.randomness import key
from gst.recipe import Recipe
from gst.training.processes import Processes

CHUNK = 256
"""Images evaluated at once; fixed, since it decides the last bits of convolutions."""


@dataclass
class StreamedData:
    """What `DeviceData` is for images in memory.

    Attributes:
        train, test: The images.
        labels: Labels trained on, int64 [R, N].
        test_labels: int64 [M].
        selection: Which half of the test set selects, bool [M]; the other half reports.
        normalise: What turns images into inputs.
        workers: Processes that decode.
        processes: This process's place among those that train.
        kept: Training examples that each replicate trains on, int64 [R, K]; None for all.
    """

    train: Decoded
    test: Decoded
    labels: Tensor
    test_labels: Tensor
    selection: Tensor
    normalise: Normalise
    workers: int
    processes: Processes
    kept: Tensor | None = None
    resident: ClassVar[bool] = False

    @property
    def trained(self) -> int:
        """Number of examples that a replicate trains on."""
        return self.labels.shape[1] if self.kept is None else self.kept.shape[1]

    def epoch(self, recipe: Recipe, seeds: tuple[int, ...], epoch: int) -> StreamedBatches:
        """Return this process's share of each batch of an epoch."""
        settings, n = recipe.training, self.trained
        draws = [
            torch.Generator().manual_seed(key(seed, "order", recipe.level, epoch)) for seed in seeds
        ]
        order = torch.stack([torch.randperm(n, generator=draw) for draw in draws])
        if self.kept is not None:
            order = self.kept.gather(1, order)
        spans = []
        for first in range(0, n, settings.batch_size):
            own = self.processes.share(min(settings.batch_size, n - first))
            spans.append(slice(first + own.start, first + own.stop))
        return StreamedBatches(
            self.train,
            self.labels,
            order,
            seeds=seeds,
            level=recipe.level,
            epoch=epoch,
            spans=spans,
            augment=settings.augment,
            normalise=self.normalise,
            workers=self.workers,
        )

    def over_train(self, measure: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> list[Tensor]:
        """Measure every training image, not augmented; see `DeviceData.over_train`."""
        return self._over(self.train, self.labels, measure)

    def over_test(self, measure: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> list[Tensor]:
        """Measure every test image; see `DeviceData.over_test`."""
        return self._over(self.test, self.test_labels.expand(len(self.labels), -1), measure)

    def _over(
        self,
        images: Decoded,
        labels: Tensor,
        measure: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    ) -> list[Tensor]:
        """Measure chunk by chunk, each in one process, and put the results together."""
        n = labels.shape[1]
        starts = range(0, n, CHUNK)[self.processes.rank :: self.processes.size]
        spans = [range(start, min(start + CHUNK, n)) for start in starts]
        items: list[list[Item]] = [[(example, None) for example in span] for span in spans]
        found: list[Tensor] = []
        for span, decoded in zip(
            spans, images.load(items, self.workers, labels.device), strict=True
        ):
            own = slice(span.start, span.stop)
            parts = measure(self.normalise(decoded), labels[:, own])
            found = found or [torch.zeros(labels.shape, device=labels.device) for _ in parts]
            for whole, part in zip(found, parts, strict=True):
                whole[:, own] = part
        (number,) = self.processes.largest(len(found))
        found = found or [torch.zeros(labels.shape, device=labels.device) for _ in range(number)]
        self.processes.add_up(found)
        return found


def decoding_workers(processes: Processes) -> int:
    """Return how many of the job's cores decode for one process: all but one."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, len(os.sched_getaffinity(0)) // local - 1)
