"""How fast the engine trains, evaluates and augments, on random images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
import torch

from gst import recipe
from gst.bench.clock import Stopwatch, seconds_each
from gst.bench.records import Mode, Precision
from gst.data.device import EpochBatches, Normalise, to_device
from gst.data.loaded import Dataset
from gst.data.splits import Split
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.capture import WARM_UP, graph_capture
from gst.training.cohort import Cohort, initial_keys
from gst.training.evaluate import evaluate
from gst.training.loop import DeviceData, TrainingState, train

BATCH = 128
"""Images a step and replicate."""
BATCHES = 400
"""Steps of an epoch, about those of MNIST and CIFAR."""
EVALUATED = 1024
"""Images that are evaluated at once."""
CLASSES = 10
OPTIMISER = recipe.Sgd(kind="sgd", lr=0.01, momentum=0.9)
"""Of the engine and of the plain loop."""


class Enough(Exception):
    """Ends a training."""


def modes(device: torch.device) -> tuple[Mode, ...]:
    """Return the ways in which steps can be made on a device."""
    return ("eager", "captured") if graph_capture(device) else ("eager",)


def shape_of(network: str) -> tuple[int, int, int]:
    """Return the shape of the images that a network is measured on, as its benchmarks have it."""
    if network.endswith("-digits"):
        return 1, 8, 8
    return (1, 28, 28) if network == "lenet" else (3, 32, 32)


def augmentation(shape: Sequence[int]) -> Literal["none", "flip-crop"]:
    """Return how images of a shape are augmented: those in colour, as CIFAR's are."""
    return "flip-crop" if shape[0] == 3 else "none"


def synthetic(shape: tuple[int, int, int], batches: int = BATCHES) -> Dataset:
    """Return random images of ten classes, whole batches of them, and a test set of one batch."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        return Split(images, rng.integers(0, CLASSES, n), "random")

    half = (0.5,) * shape[0]
    return Dataset("random", split(batches * BATCH), split(BATCH), tuple("abcdefghij"), half, half)


def settings(network: str, precision: Precision) -> Recipe:
    """Return the recipe of a training that has no end."""
    return Recipe(
        dataset="random",
        network=recipe.Network(name=network),
        training=recipe.Training(
            epochs=10**9,
            batch_size=BATCH,
            optimiser=OPTIMISER,
            augment=augmentation(shape_of(network)),
            precision=precision,
        ),
    )


def run(
    network: str,
    replicates: int,
    dataset: Dataset,
    device: torch.device,
    pause: Callable[[TrainingState], None],
    *,
    precision: Precision = "float32",
    mode: Mode = "eager",
) -> None:
    """Train a cohort until `pause`, which is called as `train` does, raises Enough."""
    found = settings(network, precision)
    labels = np.stack([dataset.train.labels] * replicates)
    data = DeviceData.load(dataset, labels, found.training, device)
    state = TrainingState(found, range(replicates), CLASSES, dataset.shape, data.trained, device)
    capture = graph_capture(device) if mode == "captured" else None
    with suppress(Enough):
        train(state, data, interventions.make(found), capture=capture, pause=pause)


def seconds_per_step(
    network: str,
    replicates: int,
    dataset: Dataset,
    device: torch.device,
    seconds: float,
    *,
    longest: float = math.inf,
    precision: Precision = "float32",
    mode: Mode = "eager",
) -> float:
    """Return how long a step takes.

    What happens between epochs counts in: orders and augmentations are drawn, one batch is
    evaluated.

    Args:
        network: What is trained.
        replicates: How many of it.
        dataset: What on.
        device: Where.
        seconds: Time to measure for.
        longest: Seconds that a step may take.
        precision: Of the arithmetic.
        mode: How steps are made.

    Raises:
        TooSlow: If a step takes longer than it may.
        torch.OutOfMemoryError: If the device's memory does not hold the cohort.
    """
    warm_up = WARM_UP + 1 if mode == "captured" else 1
    watch = Stopwatch(device, seconds, warm_up=warm_up, longest=longest)

    def pause(state: TrainingState) -> None:
        if state.step and watch.step():
            raise Enough

    run(network, replicates, dataset, device, pause, precision=precision, mode=mode)
    return watch.seconds_per_step


def evaluated_per_second(
    network: str, dataset: Dataset, device: torch.device, seconds: float, *, precision: Precision
) -> float:
    """Return the images a second at which one replicate is evaluated."""
    found = settings(network, precision)
    cohort = Cohort(
        found.network,
        CLASSES,
        dataset.shape,
        initial_keys([0]),
        device,
        stacked=precision == "float32",
    )
    images, labels = (
        to_device(array[:EVALUATED], device)
        for array in (dataset.train.images, dataset.train.labels)
    )
    inputs = Normalise.of(dataset, found.training, device)(images)
    taken = seconds_each(lambda: evaluate(cohort, inputs, labels, precision), device, seconds)
    return len(inputs) / taken


def seconds_per_batch(
    dataset: Dataset, augment: str, device: torch.device, seconds: float
) -> float:
    """Return how long a batch of one replicate takes to be gathered, augmented and normalised."""
    batches = EpochBatches(
        to_device(dataset.train.images, device),
        to_device(dataset.train.labels[None], device),
        seeds=[0],
        level=0,
        epoch=0,
        batch_size=BATCH,
        augment=augment,
        normalise=Normalise(dataset.mean, dataset.std, device),
    )
    steps = itertools.cycle(range(len(batches)))
    return seconds_each(lambda: batches[next(steps)], device, seconds)
