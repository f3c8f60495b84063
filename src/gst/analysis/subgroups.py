"""Training loss of sparse minus dense networks, by how influential the examples are.

Regularization paper, section 3: the training set is split into 20 subgroups by percentile of
the EL2N score, and the losses of the final weights are compared within each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from gst.analysis.frames import groups, rows, stack
from gst.analysis.runs import examples
from gst.artifacts import ArtifactError, read_npz
from gst.layout import Cohort, RunPath, percent_text

GROUPS = 20
"""Number of subgroups (M in the paper); the last one holds the most influential examples."""

COLUMNS = (
    "study",
    "benchmark",
    "noise",
    "method",
    "protocol",
    "which",
    "level",
    "seed",
    "group",
    "examples",
    "loss_dense",
    "loss_sparse",
    "loss_difference",
)


def group_of(scores: np.ndarray, groups: int = GROUPS) -> np.ndarray:
    """Assign examples to equally large groups by the rank of their score.

    Args:
        scores: One score an example, shape [N]; ties keep the order of the examples.
        groups: Number of groups M, at most N.

    Returns:
        The group 1..M of each example, shape [N]; group M has the highest scores.

    Raises:
        ValueError: If there are fewer examples than groups.
    """
    if len(scores) < groups:
        raise ValueError(f"{len(scores)} examples cannot fill {groups} groups")
    found = np.empty(len(scores), dtype=np.int64)
    found[np.argsort(scores, kind="stable")] = np.arange(len(scores)) * groups // len(scores) + 1
    return found


def subgroups(results: Path, selected: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return, for each selected level and seed, the mean losses of every subgroup.

    Scores are averaged over the networks of a draw; each seed is split by the scores of its
    own draw of labels.

    Args:
        results: The results folder, which holds the runs' examples and the EL2N scores.
        selected: As `selection.selected` makes it; its optimal and sparsest-better rows count.
        runs: As `runs.runs_table` makes it; it says in which cohort a seed was trained.

    Raises:
        ArtifactError: If a file is missing or damaged, or does not hold a seed's scores.
    """
    chosen = selected[selected["which"] != "dense"].merge(
        runs[runs["method"] == "dense"][["benchmark", "noise", "seed", "cohort"]]
    )
    parts = [
        part
        for (_, _, cohort), own in groups(chosen, "benchmark", "noise", "cohort")
        for part in _cohort(results, Cohort.parse(cohort), own)
    ]
    return stack(parts, COLUMNS)


def _cohort(results: Path, cohort: Cohort, chosen: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the subgroups of all chosen levels whose replicates trained in one cohort."""
    first = chosen.iloc[0]
    noise = percent_text(first["noise"])

    @cache
    def losses(method: str, level: int) -> np.ndarray:
        path = RunPath(first["study"], first["benchmark"], noise, method, level, cohort)
        return examples(results, path, "train_loss")["train_loss"].astype(np.float64)

    file = results / "el2n" / first["benchmark"] / f"noise-{noise}" / f"{cohort}.npz"
    arrays, _ = read_npz(file, {"seeds": ("i", 1), "scores": ("f", 3)})
    if arrays["seeds"].tolist() != list(cohort.seeds):
        raise ArtifactError(f"{file}: holds other seeds than its name says")
    scores = arrays["scores"].mean(axis=1, dtype=np.float64)
    dense = losses("dense", 0)
    if scores.shape != dense.shape:
        raise ArtifactError(f"{file}: {scores.shape[1]} scores of {dense.shape[1]} examples")

    for row in rows(chosen):
        own = row.seed - cohort.first
        group = group_of(scores[own])
        sparse = losses(row.method, row.level) if row.level else dense
        size = np.bincount(group)[1:]
        mean_dense, mean_sparse = (
            np.bincount(group, weights=loss[own])[1:] / size for loss in (dense, sparse)
        )
        yield pd.DataFrame(
            {
                "group": np.arange(1, len(size) + 1),
                "examples": size,
                "loss_dense": mean_dense,
                "loss_sparse": mean_sparse,
                "loss_difference": mean_sparse - mean_dense,
            }
        ).assign(**{name: getattr(row, name) for name in COLUMNS[:8]})
