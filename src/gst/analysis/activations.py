"""Distributions of normalised activations, before and after training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from gst.analysis.frames import long, stack
from gst.artifacts import check_seeds, read_npz
from gst.layout import RunPath

STATES = ("untrained", "trained")
MOMENTS = ("mean", "std", "ks")
COLUMNS = ("benchmark", "method", "seed", "state", "layer", "z", "density", *MOMENTS)


def activations_table(results: Path, measured: Iterable[str]) -> pd.DataFrame:
    """Return the distributions of activations after batch normalization, one bin a row.

    Source: stability paper, appendix B.

    Args:
        results: The results folder.
        measured: Texts of the RunPaths that activations were measured on.

    Returns:
        The columns of `COLUMNS`: z is the centre of the bin, in standard deviations, and mean,
        std and ks (the Kolmogorov-Smirnov distance to N(0, 1)) are those of the whole
        distribution. Layers are in network order.

    Raises:
        ArtifactError: If a file is missing, damaged, or holds other seeds than its folder says.
    """
    parts = []
    for text in measured:
        path = RunPath.parse(text)
        file = results / "activations" / text / "activations.npz"
        expected = {"seeds": ("i", 1), "edges": ("f", 1), **dict.fromkeys(STATES, ("f", 3))}
        whole = {f"{state}_{name}": ("f", 2) for state in STATES for name in MOMENTS}
        arrays, meta = read_npz(file, expected | whole)
        check_seeds(file, arrays["seeds"], path.cohort.seeds)
        edges = arrays["edges"]
        axes = {
            "seed": arrays["seeds"],
            "layer": meta["layers"],
            "z": ((edges[:-1] + edges[1:]) / 2).round(9),
        }
        for state in STATES:
            density = arrays[state]
            moments = {
                name: np.broadcast_to(arrays[f"{state}_{name}"][..., None], density.shape)
                for name in MOMENTS
            }
            part = long(axes, density=density, **moments)
            parts.append(part.assign(benchmark=path.benchmark, method=path.method, state=state))
    return stack(parts, COLUMNS)
