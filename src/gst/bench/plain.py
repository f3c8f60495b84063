"""The usual PyTorch loop, which the engine is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from gst import models
from gst.bench.clock import Stopwatch
from gst.bench.cohorts import BATCH, CLASSES, OPTIMISER, augmentation
from gst.data.loaded import Dataset
from gst.recipe import Network


class Images(TorchDataset[tuple[Tensor, int]]):
    """Images one by one through torchvision's transforms, as its MNIST and CIFAR classes give them.

    Args:
        dataset: The images and labels.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.pixels = dataset.train.images.transpose(0, 2, 3, 1)
        self.labels = dataset.train.labels.tolist()
        changes: list[Any] = []
        if augmentation(dataset.shape) == "flip-crop":
            side = dataset.shape[1]
            changes = [transforms.RandomCrop(side, padding=4), transforms.RandomHorizontalFlip()]
        self.transform: Callable[[Any], Tensor] = transforms.Compose(
            [*changes, transforms.ToTensor(), transforms.Normalize(dataset.mean, dataset.std)]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image as an input [C, H, W], and its label."""
        picture = self.pixels[index]
        image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        return self.transform(image), self.labels[index]


def seconds_per_step(
    network: str, dataset: Dataset, device: torch.device, seconds: float, *, workers: int
) -> float:
    """Return how long a step takes with some workers; their start does not count."""
    module = models.build(
        Network(name=network), CLASSES, dataset.shape, torch.Generator().manual_seed(0)
    ).to(device)
    optimiser = torch.optim.SGD(module.parameters(), lr=OPTIMISER.lr, momentum=OPTIMISER.momentum)
    loader = DataLoader(
        Images(dataset),
        BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    watch = Stopwatch(device, seconds)
    for batch in batches():
        inputs, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimiser.step()
        if watch.step():
            break
    return watch.seconds_per_step


def best(
    network: str, dataset: Dataset, device: torch.device, seconds: float, *, cores: int
) -> tuple[int, float]:
    """Return the number of workers with which the loop is fastest, and its seconds a step.

    None, and the powers of two up to the cores are tried.
    """
    tried = [0, *(2**power for power in range(cores.bit_length()))]
    taken = {
        workers: seconds_per_step(network, dataset, device, seconds, workers=workers)
        for workers in tried
    }
    workers = min(taken, key=taken.__getitem__)
    return workers, taken[workers]
