"""A data set that lives on the training device, and the batches drawn from it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gst.data.loaded import Dataset
from gst.randomness import key
from gst.recipe import Training

_PADDING = 4


class Normalise:
    """Turns images into network inputs of mean 0 and, mostly, standard deviation 1 a channel.

    Args:
        mean: Mean of each channel, in 0..1.
        std: Standard deviation of each channel, in 0..1.
        device: Where the images are.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], device: torch.device | str = "cpu"
    ) -> None:
        self.shift = torch.tensor(mean, device=device).mul(255).view(-1, 1, 1)
        self.scale = torch.tensor(std, device=device).mul(255).view(-1, 1, 1)

    @classmethod
    def of(cls, dataset: Dataset, training: Training, device: torch.device | str = "cpu") -> Self:
        """Return what a training normalises the images of a data set by.

        Raises:
            ValueError: If the training states deviations for another number of channels.
        """
        std = training.input_std or dataset.std
        if len(std) != len(dataset.mean):
            raise ValueError(
                f"input_std has {len(std)} entries; the images of {dataset.name} have "
                f"{len(dataset.mean)} channels"
            )
        return cls(dataset.mean, std, device)

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 images [..., C, H, W] to float32 inputs of the same shape."""
        # A GPU converts and subtracts in one kernel; on a CPU that takes fresh memory twice.
        centred = images - self.shift if images.is_cuda else images.float().sub_(self.shift)
        return centred.div_(self.scale)


class EpochBatches:
    """One epoch of every replicate's batches, in each replicate's own order.

    Order and augmentation come from streams keyed by (seed, level, epoch), drawn on the CPU
    so that they are the same on every device.

    Args:
        images: uint8 [N, C, H, W], on the device; `padded` if they are augmented.
        labels: int64 [R, N], on the device.
        seeds: One a replicate.
        level: Level of the run.
        epoch: Epoch of the schedule, from 0.
        batch_size: Examples a batch and replicate; the last batch may be smaller.
        augment: "none" or "flip-crop".
        normalise: What turns images into inputs.
        kept: Examples that each replicate trains on, int64 [R, K], on the device; None for all.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        seeds: Sequence[int],
        level: int,
        epoch: int,
        batch_size: int,
        augment: str,
        normalise: Normalise,
        kept: Tensor | None = None,
    ) -> None:
        self.images, self.batch_size, self.normalise = images, batch_size, normalise
        n = len(images) if kept is None else kept.shape[1]

        def draw(purpose: str, one: Callable[[torch.Generator], Tensor]) -> Tensor:
            keys = [key(seed, purpose, level, epoch) for seed in seeds]
            drawn = torch.stack([one(torch.Generator().manual_seed(own)) for own in keys])
            if images.is_cuda:  # Copies from pinned memory are not waited for.
                drawn = drawn.pin_memory()
            return drawn.to(images.device, non_blocking=True)

        order = draw("order", lambda g: torch.randperm(n, generator=g))
        if kept is not None:
            order = kept.gather(1, order)
        where: tuple[Tensor, ...] = (order,)
        self._crops: Crops | None = None
        if augment == "flip-crop":
            sides = 2 * _PADDING + 1
            flip = draw("flip", lambda g: torch.rand(n, generator=g) < 0.5)
            corner = draw("crop", lambda g: torch.randint(sides, (n, 2), generator=g))
            self._crops = Crops(images)
            where = self._crops.lines(order, flip, corner)
        # In order of training, [2 or 3, R, N]: labels, and where images or their crops are.
        self._examples = torch.stack((labels.gather(1, order), *where))

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self._examples.shape[2] // self.batch_size)

    def follow(self, after: EpochBatches) -> None:
        """Become the batches of another epoch of the same run, in the same memory."""
        self._examples.copy_(after._examples)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs [R, B, C, H, W] and labels [R, B] of a step."""
        return self.at(slice(step * self.batch_size, (step + 1) * self.batch_size))

    def at(self, span: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs and labels of a part of the order, or of places int64 [B] in it."""
        labels, *where = self._examples[:, :, span].unbind()
        if self._crops:
            images = self._crops.cut(*where)
        else:
            (order,) = where
            images = self.images.index_select(0, order.flatten()).unflatten(0, order.shape)
        return self.normalise(images), labels


def padded(images: Tensor) -> Tensor:
    """Return images with the black margin that crops may take in, [N, C, H + 8, W + 8].

    Padding is of raw pixels: black, as in torchvision's RandomCrop before normalisation.
    """
    return F.pad(images, (_PADDING,) * 4)


def unpadded(images: Tensor) -> Tensor:
    """Return what `padded` was given, [N, C, H, W]."""
    inner = slice(_PADDING, -_PADDING)
    return images[..., inner, inner]


class Crops:
    """Cuts images out of padded ones, some flipped from left to right.

    Args:
        images: As `padded` returns them.
    """

    def __init__(self, images: Tensor) -> None:
        _, channels, height, width = images.shape

        def count(n: int) -> Tensor:
            return torch.arange(n, device=images.device)

        self._pixels = images.flatten()
        self._image, self._row = channels * height * width, width
        self._columns = count(width - 2 * _PADDING)
        rows = count(height - 2 * _PADDING) * width
        self._lines = (count(channels)[:, None] * (height * width) + rows).unsqueeze(2)

    def lines(self, number: Tensor, flip: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the crops lie.

        Args:
            number: Of the image, int64 [...].
            flip: Which to flip, bool [...].
            corner: Row and column of the crop's corner in the padded image, int64 [..., 2].

        Returns:
            The place of each crop's first pixel among all, and 1 or -1, which leads from there to
            the next one of the line; int64 [...].
        """
        row, column = corner.unbind(-1)
        last = len(self._columns) - 1
        start = number * self._image + row * self._row + column + flip * last
        return start, 1 - 2 * flip.long()

    def cut(self, start: Tensor, direction: Tensor) -> Tensor:
        """Return the crops that begin at these pixels, uint8 [..., C, H, W]."""
        line = torch.addcmul(start[..., None], direction[..., None], self._columns)
        place = line[..., None, None, :] + self._lines
        return self._pixels.index_select(0, place.flatten()).view_as(place)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to the device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
