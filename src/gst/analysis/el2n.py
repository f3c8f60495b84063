"""How stable the ranking of the training examples by EL2N is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gst.analysis.statistics import spearman
from gst.artifacts import read_npz
from gst.layout import RunPath

COLUMNS = (
    "benchmark",
    "noise",
    "seed",
    "networks",
    "spread",
    "spearman_halves",
    "reliability",
    "spearman_seeds",
)


def stepped_up(r: float, factor: float) -> float:
    """Return how well a mean over networks would correlate with that over as many others.

    The Spearman-Brown formula, f r / (1 + (f - 1) r) (Spearman 1910, Brown 1910).

    Args:
        r: Correlation of two means over equally many, but fewer networks.
        factor: How many times as many networks there are.

    Returns:
        The correlation; NaN where r is so negative that there is none.
    """
    below = 1 + (factor - 1) * r
    return factor * r / below if below > 0 else np.nan


def el2n_table(results: Path, dense: Sequence[RunPath]) -> pd.DataFrame:
    """Return one row a draw of the labels: how well its scores rank the examples.

    Args:
        results: The results folder, which holds the scores.
        dense: The dense runs of one benchmark; each has scores for the same cohort and noise.

    Returns:
        The columns of `COLUMNS`. spread is the mean over examples of the standard deviation over
        networks. spearman_halves correlates the mean scores of two halves of the networks, and
        reliability steps it up to all networks. spearman_seeds is the mean correlation with the
        scores of the other seeds, from networks of their own; NaN where wrong labels differ
        between seeds.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """
    found = []
    clean: list[np.ndarray] = []
    for path in sorted(dense):
        file = results / f"el2n/{path.benchmark}/noise-{path.percent}/{path.cohort}.npz"
        kinds = {"scores": ("f", 3), "halves": ("f", 3), "spread": ("f", 2)}
        arrays, _ = read_npz(file, kinds)
        networks = arrays["scores"].shape[1]
        factor = networks / max(networks // 2, 1)
        for scores, halves, spread, seed in zip(
            *(arrays[name] for name in kinds), path.cohort.seeds, strict=True
        ):
            r = spearman(*halves)
            found.append(
                {
                    "benchmark": path.benchmark,
                    "noise": float(path.percent),
                    "seed": seed,
                    "networks": networks,
                    "spread": float(spread.mean(dtype=np.float64)),
                    "spearman_halves": r,
                    "reliability": stepped_up(r, factor),
                    "spearman_seeds": np.nan,
                }
            )
            if not found[-1]["noise"]:
                clean.append(scores.mean(axis=0, dtype=np.float64))
    table = pd.DataFrame(found, columns=list(COLUMNS))
    table.loc[table["noise"] == 0, "spearman_seeds"] = _with_others(clean)
    return table


def _with_others(scores: list[np.ndarray]) -> list[float]:
    """Return each one's mean Spearman correlation with all others; NaN if it is alone."""
    n = len(scores)
    found = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(i):
            found[i, j] = found[j, i] = spearman(scores[i], scores[j])
    others = ~np.eye(n, dtype=bool)
    return [
        float(row[own].mean()) if n > 1 else np.nan for row, own in zip(found, others, strict=True)
    ]
