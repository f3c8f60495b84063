"""The leading eigenvalues of a trained network's Hessian: Lanczos beside the published method."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure

from gst import models
from gst.artifacts import read_weights, write_table
from gst.data.device import Normalise, to_device
from gst.data.loaded import load
from gst.figures.style import GREY, PALETTE, Look, panels, save, styled
from gst.layout import RunPath
from gst.measures.flatness.cohort import take_replicate
from gst.measures.flatness.epsilon import scan
from gst.measures.flatness.gradient_noise import gradient_noise
from gst.measures.flatness.hvp import Hessian, Operator
from gst.measures.flatness.loss import Loss
from gst.measures.flatness.power import power_iteration, residuals
from gst.measures.flatness.spectrum import Spectrum, spectrum
from gst.measures.flatness.trace import trace
from gst.randomness import key
from gst.recipe import FlatnessSettings, Recipe

METHODS: dict[str, Callable[..., Spectrum]] = {
    "Lanczos": spectrum,
    "power iteration, as published": power_iteration,
}


def replicate_loss(folder: Path, seed: int, examples: int) -> Loss:
    """Return one replicate's loss on the first test images.

    Args:
        folder: Folder of a run; the prepared dataset lies under the same results folder.
        seed: Which replicate.
        examples: Number of images; all if there are fewer.

    Raises:
        ValueError: If the folder is not that of a run, or the run has no such seed.
        ArtifactError: If a file is missing or damaged.
    """
    folder = folder.resolve()
    seeds = RunPath.parse(str(folder)).cohort.seeds
    if seed not in seeds:
        raise ValueError(f"{folder} has the seeds {seeds[0]} to {seeds[-1]}, not {seed}")
    path = folder / "weights.safetensors"
    arrays, meta = read_weights(path)
    recipe = Recipe.parse(json.dumps(meta.get("recipe")))
    dataset = load(folder.parents[6] / "data" / recipe.dataset)
    module = models.build(recipe.network, len(dataset.classes), dataset.shape, torch.Generator())
    mask = take_replicate(module, arrays, seeds.index(seed), path)
    images = torch.from_numpy(dataset.test.images[:examples])
    inputs = Normalise.of(dataset, recipe.training)(images)
    labels = to_device(dataset.test.labels[:examples], inputs.device)
    return Loss(module, inputs, labels, mask=mask)


def compare(
    matrix: Operator, *, k: int, tolerance: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, Spectrum]:
    """Find leading eigenvalues by every method.

    Args:
        matrix: The matrix.
        k: Number of eigenvalues.
        tolerance: Largest residual, relative to the largest eigenvalue, that counts as found.
        seed: Seed of the random starts.

    Returns:
        One row a method: method, products, seconds of CPU time (the published method's include
        one product a residual, which its count leaves out), sum, largest and median residual,
        and how many residuals are within the tolerance. And one row an eigenvalue: method, rank
        from 1, eigenvalue, residual. Residuals are measured alike, by products of their own, and
        relative to Lanczos's largest eigenvalue. And what the first method, Lanczos, found.
    """
    summary, details, spectra = [], [], []
    scale = 0.0
    for method, find in METHODS.items():
        started = time.process_time()
        random = torch.Generator().manual_seed(key(seed, "lanczos"))
        found = find(matrix, random, k=k, tolerance=tolerance)
        seconds = time.process_time() - started
        spectra.append(found)
        scale = scale or float(found.eigenvalues[0].abs())
        relative = residuals(matrix, found.eigenvalues, found.vectors) / scale
        print(f"{method}: {found.products} products in {seconds:.0f} s", flush=True)
        summary.append(
            {
                "method": method,
                "products": found.products,
                "seconds": seconds,
                "sum": float(found.eigenvalues.sum()),
                "largest_residual": float(relative.max()),
                "median_residual": float(relative.median()),
                "within_tolerance": int((relative <= tolerance).sum()),
            }
        )
        details.append(
            pd.DataFrame(
                {
                    "method": method,
                    "rank": range(1, len(relative) + 1),
                    "eigenvalue": found.eigenvalues.numpy(),
                    "residual": relative.numpy(),
                }
            )
        )
    return pd.DataFrame(summary), pd.concat(details, ignore_index=True), spectra[0]


def other_parts(loss: Loss, hessian: Hessian, leading: Spectrum, seed: int) -> dict[str, float]:
    """Return the seconds of CPU time of a flatness measurement's parts after the spectrum."""
    settings = FlatnessSettings()
    random = torch.Generator().manual_seed(key(seed, "trace"))
    parts: dict[str, Callable[[], object]] = {
        "trace": lambda: trace(hessian, random, samples=settings.trace_samples, leading=leading),
        "gradient noise": lambda: gradient_noise(loss),
        "scan": lambda: scan(loss, leading.vectors[: settings.directions]),
    }
    seconds = {}
    for part, take in parts.items():
        started = time.process_time()
        take()
        seconds[part] = time.process_time() - started
    return seconds


@styled
def draw(details: pd.DataFrame, tolerance: float) -> Figure:
    """Draw eigenvalues and relative residuals by rank, from what `compare` returns."""
    figure, axes = panels(["Eigenvalues", "Residuals"])
    for marker, colour, (method, rows) in zip(
        "ox", PALETTE, details.groupby("method", sort=False), strict=False
    ):
        look: Look = {"color": colour, "marker": marker, "linestyle": "", "label": method}
        axes["", "Eigenvalues"].plot(rows["rank"], rows["eigenvalue"].abs(), **look)
        axes["", "Residuals"].plot(rows["rank"], rows["residual"], **look)
    axes["", "Residuals"].axhline(tolerance, color=GREY, linestyle="--", linewidth=1)
    axes["", "Residuals"].set_ylabel("Residual / largest eigenvalue")
    axes["", "Eigenvalues"].set_ylabel("Magnitude of the eigenvalue")
    for panel in axes.values():
        panel.set(yscale="log", xlabel="Rank")
    axes["", "Eigenvalues"].legend()
    return figure


def bench(
    folder: Path, *, examples: int, k: int, seed: int, tolerance: float, threads: int, out: Path
) -> None:
    """Print the comparison for one replicate; write spectrum.csv, .png and .pdf to a folder."""
    torch.set_num_threads(threads)
    loss = replicate_loss(folder, seed, examples)
    print(
        f"{len(loss.weights)} free weights, {loss.examples} test images, {k} eigenvalues, "
        f"{threads} threads"
    )
    hessian = Hessian(loss)
    summary, details, leading = compare(hessian, k=k, tolerance=tolerance, seed=seed)
    print(summary.to_string(index=False, float_format="{:.4g}".format))
    seconds = other_parts(loss, hessian, leading, seed)
    print("after the spectrum: " + ", ".join(f"{part} {s:.1f} s" for part, s in seconds.items()))
    write_table(out / "spectrum.csv", details)
    save(draw(details, tolerance), out / "spectrum")
