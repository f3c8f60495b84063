"""What jobs compute and write, counted from their recipes.

An operation is an addition or a multiplication in a convolution or dense layer.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from gst.datasets import Extent
from gst.planning.networks import Footprint
from gst.recipe import Flatness, Recipe

BACKWARD = 2
"""Cost of a backward pass, in forward passes."""
PRODUCT = 6
"""Cost of a Hessian-vector product, in forward passes: twice that of a gradient."""
PRODUCTS = 3
"""Hessian-vector products that an eigenvalue is taken to need."""
POINTS = 81
"""Losses along an eigenvector."""
SPLITS = 2
"""Splits on which flatness is measured: test and training images."""

ROW_BYTES = 100
"""Bytes that a row of epochs.parquet takes."""


class Work(NamedTuple):
    """What a job computes: operations, and training steps, one after the other."""

    operations: float
    steps: int = 0


class Images(NamedTuple):
    """Images that a replicate is trained on and evaluated on, each as often as it is."""

    trained: int
    evaluated: int


def images(recipe: Recipe, data: Extent) -> Images:
    """Return the images of a training: the test images after each epoch, all at its end."""
    epochs = recipe.training.epochs - recipe.first_epoch
    return Images(epochs * data.train, epochs * data.test + data.train + data.test)


def training(recipe: Recipe, data: Extent, network: Footprint, replicates: int) -> Work:
    """Return what training a cohort computes, evaluation after each epoch included."""
    epochs = recipe.training.epochs - recipe.first_epoch
    trained, evaluated = images(recipe, data)
    return Work(
        operations=replicates * network.operations * (trained * (1 + BACKWARD) + evaluated),
        steps=epochs * ceil(data.train / recipe.training.batch_size),
    )


def flatness(settings: Flatness, data: Extent, network: Footprint, replicates: int) -> Work:
    """Return what measuring the flatness of a cohort computes."""
    examples = min(settings.examples, data.train)
    products = PRODUCTS * settings.k + settings.trace_samples
    passes = products * PRODUCT + settings.directions * POINTS + (1 + BACKWARD)
    return Work(replicates * SPLITS * examples * passes * network.operations)


def activations(data: Extent, network: Footprint, replicates: int) -> Work:
    """Return what measuring the activations of a cohort, untrained and trained, computes."""
    return Work(2 * replicates * data.test * network.operations)


def training_bytes(
    recipe: Recipe, data: Extent, network: Footprint, replicates: int
) -> dict[str, int]:
    """Return the bytes of what a training job writes, by the names of the files.

    Masks take a byte a weight; of a network of which some layers are pruned, somewhat less.
    """
    masks = network.prunable if recipe.intervention else 0
    weights = replicates * (network.state_bytes + masks)
    examples = 5 * (data.train + data.test)  # a loss, float32, and whether it is correct
    if recipe.left_out:
        examples += data.train
    return {
        "weights": weights,
        "snapshots": len(recipe.snapshots) * weights,
        "examples": replicates * examples,
        "epochs": replicates * (recipe.training.epochs + 1) * ROW_BYTES,
    }


def el2n_bytes(data: Extent, networks: int, replicates: int) -> dict[str, int]:
    """Return the bytes of EL2N scores: each network's, their spread, two halves; float32."""
    return {"scores": 4 * replicates * data.train * (networks + 3)}


def flatness_bytes(settings: Flatness, replicates: int) -> dict[str, int]:
    """Return the bytes of spectra: eigenvalues, residuals and losses along directions; float64."""
    numbers = 2 * settings.k + settings.directions * POINTS
    return {"spectrum": 8 * replicates * SPLITS * numbers}


def labels_bytes(data: Extent, replicates: int) -> dict[str, int]:
    """Return the bytes of labels: int64 before and after noise, and whether each is wrong."""
    return {"labels": data.train * (8 + 9 * replicates)}


def data_bytes(data: Extent) -> dict[str, int]:
    """Return the bytes of a prepared dataset: uint8 images and int64 labels."""
    channels, height, width = data.shape
    example = channels * height * width + 8
    return {"train": data.train * example, "test": data.test * example}
