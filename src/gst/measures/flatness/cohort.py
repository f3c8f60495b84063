"""Flatness of every replicate of a cohort, from its files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gst import models
from gst.artifacts import ArtifactError, read_replicates
from gst.data.device import Normalise, to_device
from gst.data.loaded import Dataset, LabelDraw
from gst.measures.flatness import Measurement, measure
from gst.measures.flatness.epsilon import POINTS, REACH, THRESHOLD
from gst.recipe import Flatness, Recipe, jsonable


def measure_cohort(
    weights: Path,
    dataset: Dataset,
    labels: LabelDraw,
    recipe: Recipe,
    settings: Flatness,
    device: torch.device,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure the flatness of every replicate on test images and on training images.

    The test images are the study's own choice ("as published"); the training images, with the
    labels trained on, leave the test set out of it ("clean").

    Args:
        weights: File with the replicates' weights, buffers and masks.
        dataset: The images.
        labels: The labels that each replicate was trained on.
        recipe: What the replicates were trained with.
        settings: What to measure, and how well.
        device: Where to measure.

    Returns:
        The content of flatness.json: {"seeds": [R], "split": {split: {measure: [R]}}, "meta"},
        with null for what is not finite. And the arrays of spectrum.npz, for each split:
        eigenvalues and residuals, float64 [R, k], and scan, the losses at steps along the leading
        eigenvectors, float64 [R, directions, 81]. NaN stands past the last.

    Raises:
        ArtifactError: If the weights are of another recipe, network or other seeds.
    """
    arrays = read_replicates(weights, recipe, labels.seeds)
    module = models.build(
        recipe.network, len(dataset.classes), dataset.shape, torch.Generator()
    ).to(device)
    replicates = len(labels.seeds)
    splits = {
        "test": (dataset.test.images, np.tile(dataset.test.labels, (replicates, 1))),
        "train": (dataset.train.images, labels.labels),
    }
    measured: dict[str, list[Measurement]] = {name: [] for name in splits}
    for index, seed in enumerate(labels.seeds):
        mask = take_replicate(module, arrays, index, weights)
        for name, (images, targets) in splits.items():
            inputs = to_device(images[: settings.examples], device)
            result = measure(
                module,
                Normalise.of(dataset, recipe.training, inputs.device)(inputs),
                to_device(targets[index, : settings.examples], device),
                mask=mask,
                k=settings.k,
                directions=settings.directions,
                tolerance=settings.tolerance,
                trace_samples=settings.trace_samples,
                seed=seed,
            )
            print(
                f"seed {seed}, {result.examples} {name} images: trace {result.trace_top:.4g} by "
                f"{result.hvps} products, Tr(C) {result.gradient_noise:.4g}, "
                f"epsilon {result.epsilon:.2f}",
                flush=True,
            )
            measured[name].append(result)
    record = {
        "seeds": list(labels.seeds),
        "split": {name: _columns(results) for name, results in measured.items()},
        "meta": {
            **jsonable(settings),
            "epsilon_threshold": THRESHOLD,
            "epsilon_reach": REACH,
            "epsilon_points": POINTS,
        },
    }
    sizes = {"eigenvalues": settings.k, "residuals": settings.k, "scan": settings.directions}
    spectra = {
        f"{name}_{part}": _rows([getattr(result, part) for result in results], size)
        for name, results in measured.items()
        for part, size in sizes.items()
    }
    return record, spectra


def take_replicate(
    module: nn.Module, arrays: dict[str, np.ndarray], index: int, path: Path
) -> Tensor:
    """Give a network one replicate's weights and buffers.

    Args:
        module: The network.
        arrays: Weights, buffers and masks of every replicate, as `read_weights` returns them.
        index: Which replicate.
        path: Where the arrays are from.

    Returns:
        Its mask [P], as `measure` takes it.

    Raises:
        ArtifactError: If the arrays are of another network.
    """
    state = {
        name.split("/", 1)[1]: torch.from_numpy(array)[index]
        for name, array in arrays.items()
        if not name.startswith("masks/")
    }
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ArtifactError(f"{path}: not of this network ({error})") from error
    parts = []
    for name, parameter in module.named_parameters():
        mask = arrays.get(f"masks/{name}")
        alive = torch.ones_like(parameter) if mask is None else torch.from_numpy(mask)[index]
        parts.append(alive.flatten().to(parameter.device, torch.bool))
    return torch.cat(parts)


def _columns(results: list[Measurement]) -> dict[str, list[Any]]:
    """Return every scalar measure as a list over replicates, None where it is not finite."""
    rows = [result.scalars() for result in results]
    return {
        name: [row[name] if math.isfinite(row[name]) else None for row in rows] for name in rows[0]
    }


def _rows(parts: list[Tensor], size: int) -> np.ndarray:
    """Stack tensors of at most `size` rows, [R, size, ...], with NaN at their ends."""
    rows = np.full((len(parts), size, *parts[0].shape[1:]), np.nan)
    for row, values in zip(rows, parts, strict=True):
        row[: len(values)] = values.numpy()
    return rows
