"""Flatness of networks, beside their stability and accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gst.analysis.frames import long, stack
from gst.artifacts import check_seeds, read_json, read_npz
from gst.layout import RunPath

RUN = ("study", "benchmark", "noise", "method", "level", "seed")
"""Columns that name a replicate."""

JOINED = ("events", "target", "iterative_rate", "stability", "best_test_accuracy", "gap")
"""Columns of the runs table that stand beside flatness, with test_accuracy."""

SPECTRA = ("benchmark", "method", "seed", "split", "rank", "eigenvalue", "residual")
SCANS = ("benchmark", "method", "seed", "split", "direction", "step", "loss")
SPLITS = ("test", "train")


def flatness_table(results: Path, measured: Iterable[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each measured replicate and split of the data.

    Args:
        results: The results folder.
        measured: Texts of the RunPaths that flatness was measured on.
        runs: As `runs.runs_table` makes it.

    Returns:
        The columns of `RUN`, split (test: as published; train: clean), every measure of
        flatness.json, those of `JOINED`, and test_accuracy at the final epoch. Empty, with no
        measure, if nothing was measured.

    Raises:
        ArtifactError: If a file is missing, damaged, or holds other seeds than its folder says.
    """
    parts = []
    for text in measured:
        path = RunPath.parse(text)
        file = results / "flatness" / text / "flatness.json"
        record = read_json(file)
        check_seeds(file, record.get("seeds"), path.cohort.seeds)
        place = {
            "study": path.study,
            "benchmark": path.benchmark,
            "noise": float(path.percent),
            "method": path.method,
            "level": path.level,
            "seed": record["seeds"],
        }
        parts += [
            pd.DataFrame({**place, "split": split, **measures})
            for split, measures in record["split"].items()
        ]
    if not parts:
        return pd.DataFrame(columns=[*RUN, "split", *JOINED, "test_accuracy"])
    joined = runs[[*RUN, *JOINED]].assign(test_accuracy=1 - runs["test_error"])
    return pd.concat(parts, ignore_index=True).merge(joined, on=list(RUN), validate="m:1")


def spectra_table(results: Path, measured: Iterable[str]) -> pd.DataFrame:
    """Return the Hessian's eigenvalues of largest magnitude, one a row.

    Args:
        results: The results folder.
        measured: Texts of the RunPaths that flatness was measured on.

    Returns:
        The columns of `SPECTRA`; rank 1 has the largest magnitude.

    Raises:
        ArtifactError: If a file is missing, damaged, or holds other seeds than its folder says.
    """
    parts = []
    for text in measured:
        path = RunPath.parse(text)
        names = [f"{split}_{part}" for split in SPLITS for part in ("eigenvalues", "residuals")]
        arrays, _ = _spectrum(results, path, dict.fromkeys(names, ("f", 2)))
        ranks = np.arange(arrays[names[0]].shape[1]) + 1
        parts += [
            long(
                {"seed": path.cohort.seeds, "rank": ranks},
                eigenvalue=arrays[f"{split}_eigenvalues"],
                residual=arrays[f"{split}_residuals"],
            ).assign(benchmark=path.benchmark, method=path.method, split=split)
            for split in SPLITS
        ]
    return stack(parts, SPECTRA).dropna(subset="eigenvalue", ignore_index=True)


def scans_table(results: Path, measured: Iterable[str]) -> pd.DataFrame:
    """Return the loss at steps along the Hessian's leading eigenvectors, one a row.

    Args:
        results: The results folder.
        measured: Texts of the RunPaths that flatness was measured on.

    Returns:
        The columns of `SCANS`; direction 1 is the most curved one, step its factor.

    Raises:
        ArtifactError: If a file is missing, damaged, or holds other seeds than its folder says.
    """
    parts = []
    for text in measured:
        path = RunPath.parse(text)
        names = [f"{split}_scan" for split in SPLITS]
        arrays, meta = _spectrum(results, path, dict.fromkeys(names, ("f", 3)))
        for split, name in zip(SPLITS, names, strict=True):
            _, directions, points = arrays[name].shape
            steps = np.linspace(-meta["epsilon_reach"], meta["epsilon_reach"], points)
            axes: dict[str, ArrayLike] = {
                "seed": path.cohort.seeds,
                "direction": np.arange(directions) + 1,
                "step": steps.round(9),
            }
            part = long(axes, loss=arrays[name])
            parts.append(part.assign(benchmark=path.benchmark, method=path.method, split=split))
    return stack(parts, SCANS).dropna(subset="loss", ignore_index=True)


def _spectrum(
    results: Path, path: RunPath, expected: dict[str, tuple[str, int]]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    file = results / "flatness" / str(path) / "spectrum.npz"
    arrays, meta = read_npz(file, expected)
    check_seeds(file, meta.get("seeds"), path.cohort.seeds)
    return arrays, meta
