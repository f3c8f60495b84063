"""How batch-normalised activations are distributed (stability study, appendix B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gst.artifacts import ArtifactError, read_replicates
from gst.data.device import Normalise, to_device
from gst.data.loaded import Dataset
from gst.models import FilterLayer
from gst.recipe import Activations, Recipe, jsonable
from gst.training.cohort import Cohort, initial_keys

EDGES = np.linspace(-5, 5, 101)
"""Edges of the histograms' bins."""

_PART = 2**20
"""Numbers that are compared with the normal distribution at once."""


def measure_activations(
    weights: Path,
    dataset: Dataset,
    recipe: Recipe,
    settings: Activations,
    seeds: Sequence[int],
    device: torch.device,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Measure every replicate before its first step and after its last, on test images.

    What is measured is the output of each prunable convolution's batch norm before its scale and
    shift. All batch norms use the statistics of these images as one batch. Memory is about five
    times that of the largest layer's output for all of them. A filter that was pruned gives zeros.

    Args:
        weights: File with the replicates' weights and buffers.
        dataset: The images.
        recipe: What the replicates were trained with.
        settings: How many images.
        seeds: One a replicate.
        device: Where to measure.

    Returns:
        The arrays of activations.npz, for R replicates, L layers and B bins: seeds int64 [R];
        edges float64 [B + 1]; and for each state, untrained and trained, the densities {state}
        [R, L, B], whose integral is the share of the activations within the edges, and
        {state}_mean, {state}_std and {state}_ks [R, L], the last the Kolmogorov-Smirnov distance
        to N(0, 1). NaN where activations are not finite. And the metadata, with the names of the
        layers' convolutions.

    Raises:
        ArtifactError: If the weights are of another recipe, network or other seeds.
    """
    tensors = read_replicates(weights, recipe, seeds)
    cohort = Cohort(
        recipe.network, len(dataset.classes), dataset.shape, initial_keys(seeds), device
    )
    images = to_device(dataset.test.images[: settings.examples], device)
    inputs = Normalise.of(dataset, recipe.training, device)(images)
    modules: list[Any] = cohort.modules
    layers: list[FilterLayer] = modules[0].filter_layers()
    norms = [layer.norm for layer in layers]
    arrays = {"seeds": np.array(seeds, dtype=np.int64), "edges": EDGES}
    for state in ("untrained", "trained"):
        if state == "trained":
            try:
                cohort.load_state(tensors)
            except ValueError as error:
                raise ArtifactError(f"{weights}: not of this network ({error})") from error
        measured = [distributions(module, norms, inputs) for module in modules]
        for part, name in enumerate((state, f"{state}_mean", f"{state}_std", f"{state}_ks")):
            arrays[name] = np.array([[layer[part] for layer in each] for each in measured])
        distances = arrays[f"{state}_ks"].mean(0)
        print(f"{state}: distance to N(0, 1) {distances.min():.3f} to {distances.max():.3f}")
    return arrays, {
        "layers": [layer.conv for layer in layers],
        "examples": len(images),
        "recipe": jsonable(recipe),
    }


def distributions(
    module: nn.Module, norms: Sequence[str], inputs: Tensor
) -> list[tuple[np.ndarray, float, float, float]]:
    """Describe the inputs of batch norms, normalised as these do before scale and shift.

    Args:
        module: The network. All its batch norms use the statistics of the images as one batch;
            everything else is in evaluation mode.
        norms: Names of batch norms, each called once.
        inputs: Normalised images [N, C, H, W].

    Returns:
        What `distribution` returns for each of `norms`.
    """
    found = {}

    def watch(name: str) -> Callable[[Any, tuple[Tensor]], None]:
        def hook(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
            variance, mean = torch.var_mean(given[0], (0, 2, 3), correction=0, keepdim=True)
            found[name] = distribution((given[0] - mean).div_((variance + norm.eps).sqrt_()))

        return hook

    module.eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
    hooks = [module.get_submodule(name).register_forward_pre_hook(watch(name)) for name in norms]
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return [found[name] for name in norms]


def distribution(sample: Tensor) -> tuple[np.ndarray, float, float, float]:
    """Describe a sample's distribution.

    The Kolmogorov-Smirnov distance of x_1 <= ... <= x_n to N(0, 1) is exactly

        max over i of max(i / n - Phi(x_i), Phi(x_i) - (i - 1) / n).

    Args:
        sample: Numbers, of any shape.

    Returns:
        Density in each bin of `EDGES`, float64 [B]; mean; standard deviation; and that distance.
        All NaN if a number is not finite.
    """
    ordered = sample.flatten().cpu().numpy()
    ordered.sort()
    if not np.isfinite(ordered[[0, -1]]).all():
        return np.full(len(EDGES) - 1, np.nan), np.nan, np.nan, np.nan
    n = len(ordered)
    total = squares = distance = 0.0
    for start in range(0, n, _PART):
        part = torch.from_numpy(ordered[start : start + _PART]).double()
        total += float(part.sum())
        squares += float(part.square().sum())
        expected = torch.special.ndtr(part)
        below = torch.arange(start, start + len(part), dtype=torch.float64) / n
        gaps = torch.maximum(below + 1 / n - expected, expected - below)
        distance = max(distance, float(gaps.max()))
    mean = total / n
    density = np.diff(np.searchsorted(ordered, EDGES)) / (n * np.diff(EDGES))
    return density, mean, max(squares / n - mean**2, 0.0) ** 0.5, distance
