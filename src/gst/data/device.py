"""A data set that lives on the training device, and the batches drawn from it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
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
        return images.float().sub_(self.shift).div_(self.scale)


class EpochBatches:
    """One epoch of every replicate's batches, in each replicate's own order.

    Order and augmentation come from streams keyed by (seed, level, epoch), drawn on the CPU
    so that they are the same on every device.

    Args:
        images: uint8 [N, C, H, W], on the device.
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
        self.images, self.labels = images, labels
        self.batch_size, self.augment, self.normalise = batch_size, augment, normalise
        n = len(images) if kept is None else kept.shape[1]

        def draw(purpose: str, one: Callable[[torch.Generator], Tensor]) -> Tensor:
            keys = [key(seed, purpose, level, epoch) for seed in seeds]
            drawn = torch.stack([one(torch.Generator().manual_seed(own)) for own in keys])
            if images.is_cuda:  # Copies from pinned memory are not waited for.
                drawn = drawn.pin_memory()
            return drawn.to(images.device, non_blocking=True)

        self.order = draw("order", lambda g: torch.randperm(n, generator=g))
        if kept is not None:
            self.order = kept.gather(1, self.order)
        if augment == "flip-crop":
            sides = 2 * _PADDING + 1
            self.flip = draw("flip", lambda g: torch.rand(n, generator=g) < 0.5)
            self.corner = draw("crop", lambda g: torch.randint(sides, (n, 2), generator=g))

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self.order.shape[1] // self.batch_size)

    def follow(self, after: EpochBatches) -> None:
        """Become the batches of another epoch of the same run, in the same memory."""
        self.order.copy_(after.order)
        if self.augment == "flip-crop":
            self.flip.copy_(after.flip)
            self.corner.copy_(after.corner)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs [R, B, C, H, W] and labels [R, B] of a step."""
        return self.at(slice(step * self.batch_size, (step + 1) * self.batch_size))

    def at(self, span: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs and labels of a part of the order, or of places int64 [B] in it."""
        chosen = self.order[:, span]
        images = self.images.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)
        if self.augment == "flip-crop":
            images = flip_crop(images, self.flip[:, span], self.corner[:, span])
        return self.normalise(images), self.labels.gather(1, chosen)


def flip_crop(images: Tensor, flip: Tensor, corner: Tensor) -> Tensor:
    """Flip images from left to right, and shift them after padding with zeros.

    Padding is of raw pixels: black, as in torchvision's RandomCrop before normalisation.

    Args:
        images: [R, B, C, H, W].
        flip: Which to flip, bool [R, B].
        corner: Row and column of the crop's corner in the image padded by 4, [R, B, 2].

    Returns:
        Images of the same shape.
    """
    r, b, c, h, w = images.shape
    rows = corner[..., 0, None] + torch.arange(h, device=images.device) - _PADDING
    columns = torch.arange(w, device=images.device).expand(r, b, w)
    columns = torch.where(flip[..., None], w - 1 - columns, columns)
    columns = columns + corner[..., 1, None] - _PADDING
    inside = ((rows >= 0) & (rows < h))[..., :, None] & ((columns >= 0) & (columns < w))[
        ..., None, :
    ]
    place = rows.clamp(0, h - 1)[..., :, None] * w + columns.clamp(0, w - 1)[..., None, :]
    place = place.flatten(2).unsqueeze(2).expand(r, b, c, h * w)
    return images.flatten(3).gather(3, place).view_as(images) * inside.unsqueeze(2)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to the device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
