"""Images that are decoded while a network trains on them, in worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.context import ForkContext, ForkProcess
from multiprocessing.popen_fork import Popen
from multiprocessing.process import BaseProcess

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as tv

from gst.artifacts import ArtifactError
from gst.data.device import Normalise
from gst.data.loaded import Stream
from gst.randomness import key

Item = tuple[int, int | None]
"""Number of an example, and the key of its random crop; None for its middle."""


class Decoded(torch.utils.data.Dataset[Tensor]):
    """The images of a split, each read when it is asked for.

    Args:
        stream: Where the images are and how large inputs are.
        files: Their paths below the stream's folder, bytes [N].
    """

    def __init__(self, stream: Stream, files: np.ndarray) -> None:
        self.stream, self.files = stream, files

    def __getitem__(self, item: Item) -> Tensor:
        """Return one image, uint8 [3, S, S].

        Raises:
            ArtifactError: If the file is missing or damaged.
        """
        example, crop = item
        path = self.stream.folder / os.fsdecode(bytes(self.files[example]))
        try:
            with Image.open(path) as image:
                pixels = image.convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise ArtifactError(f"{path}: missing or damaged image ({error})") from error
        size = self.stream.size
        pixels = middle(pixels, size) if crop is None else random_crop(pixels, size, crop)
        return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)

    def load(
        self, batches: Sequence[list[Item]], workers: int, device: torch.device
    ) -> Iterator[Tensor]:
        """Yield the images of each batch, uint8 [B, 3, S, S], on a device, in order."""
        loader = DataLoader(
            self,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=self._together,
            multiprocessing_context=_Workers() if workers else None,
            pin_memory=device.type == "cuda",
        )
        for images in loader:
            yield images.to(device, non_blocking=True)

    def _together(self, images: list[Tensor]) -> Tensor:
        if not images:
            return torch.empty(0, 3, self.stream.size, self.stream.size, dtype=torch.uint8)
        return torch.stack(images)


class _Killed(Popen):
    """A process that lives on when all processes of its job are told to stop.

    Its training then finishes the step and writes a checkpoint, which the death of a worker would
    keep it from, and kills the worker, hung or not. Signals are blocked from the worker's first
    moment; it inherits that.
    """

    terminate = Popen.kill

    def _launch(self, process: BaseProcess) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            super()._launch(process)  # type: ignore[misc]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker(ForkProcess):
    @staticmethod
    def _Popen(process: BaseProcess) -> Popen:  # noqa: N802
        return _Killed(process)


class _Workers(ForkContext):
    """How decoding processes start and end; torch and Python end them by `terminate`."""

    Process = _Worker


def middle(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to 8/7 of the size, and cut out the middle (256 and 224)."""
    return tv.center_crop(tv.resize(image, round(size * 8 / 7)), [size, size])


def random_crop(image: Image.Image, size: int, crop: int) -> Image.Image:
    """Cut out, scale and perhaps flip a part as torchvision's RandomResizedCrop draws it.

    Args:
        image: An image of any size.
        size: Side of the result.
        crop: Key of the draw, which it alone decides.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(crop)
        box = RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
        flip = bool(torch.rand(1) < 0.5)
    image = tv.resized_crop(image, *box, [size, size])
    return tv.hflip(image) if flip else image


class StreamedBatches:
    """One epoch of batches, as `gst.data.device.EpochBatches`, decoded as they are needed.

    Order and crops follow from (seed, level, epoch) and the example, whichever worker or
    process decodes it.

    Args:
        images: The training images.
        labels: int64 [R, N], on the device.
        order: Examples in the order of training, int64 [R, K].
        seeds: One a replicate.
        level: Level of the run.
        epoch: Epoch of the schedule, from 0.
        spans: Which part of the order each step is, as far as this process decodes it.
        augment: "none" or "resized-crop".
        normalise: What turns images into inputs.
        workers: Processes that decode; 0 decodes in this one.
    """

    def __init__(
        self,
        images: Decoded,
        labels: Tensor,
        order: Tensor,
        *,
        seeds: Sequence[int],
        level: int,
        epoch: int,
        spans: Sequence[slice],
        augment: str,
        normalise: Normalise,
        workers: int,
    ) -> None:
        self.images, self.labels, self.order = images, labels, order
        self.seeds, self.place, self.spans = seeds, (level, epoch), spans
        self.augment, self.normalise, self.workers = augment, normalise, workers
        self._next = -1
        self._decoded: Iterator[Tensor] = iter(())

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.spans)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs [R, B, C, H, W] and labels [R, B] of a step.

        Steps that follow one another are decoded ahead.
        """
        if step != self._next:
            rest = _Batches(self, step)
            self._decoded = self.images.load(rest, self.workers, self.labels.device)
        self._next = step + 1
        chosen = self.order[:, self.spans[step]]
        images = next(self._decoded).unflatten(0, chosen.shape)
        return self.normalise(images), self.labels.gather(1, chosen.to(self.labels.device))

    def items(self, step: int) -> list[Item]:
        """Return what a step decodes, one replicate after the other."""
        chosen = self.order[:, self.spans[step]].tolist()
        if self.augment == "none":
            return [(example, None) for row in chosen for example in row]
        return [
            (example, key(seed, "resized-crop", *self.place, example))
            for seed, row in zip(self.seeds, chosen, strict=True)
            for example in row
        ]


class _Batches(Sequence[list[Item]]):
    """What the steps from one on decode; made as it is asked for."""

    def __init__(self, batches: StreamedBatches, first: int) -> None:
        self.batches, self.first = batches, first

    def __len__(self) -> int:
        return len(self.batches) - self.first

    def __getitem__(self, step):  # type: ignore[no-untyped-def]
        if step >= len(self):
            raise IndexError(step)
        return self.batches.items(self.first + step)
