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
from gst.artifacts import ArtifactError, check_seeds, read_npz
from gst.layout import Cohort, RunPath, percent_text

GROUPS = 20
"""Number of subgroups (M in the paper); the last one holds the most influential examples."""

HARD = 5
"""Number of groups of which the last, the most influential fifth, counts as hard."""

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
    own = chosen["method"].where(chosen["level"] > 0, "dense")
    return _compared(results, chosen.assign(trained=own), "dense")


def variant_subgroups(results: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Return, for each variant of a stability benchmark, the mean losses of every subgroup.

    The final weights of variants stand in place of sparse networks, and those that were trained
    without pruning in place of dense ones.

    Args:
        results: The results folder, which holds the runs' examples and the EL2N scores.
        runs: As `runs.runs_table` makes it, of one benchmark that has a variant without pruning;
            no rows give no subgroups.

    Returns:
        As `subgroups`; the protocol is "clean", and `which` is "final".

    Raises:
        ArtifactError: If a file is missing or damaged, or does not hold a seed's scores.
    """
    unpruned = runs.loc[runs["intervention"] == "none", "method"]
    reference = unpruned.iloc[0] if len(unpruned) else ""
    others = runs[runs["method"] != reference]
    chosen = others.assign(protocol="clean", which="final", trained=others["method"])
    return _compared(results, chosen, reference)


def hard_losses(results: Path, runs: pd.DataFrame) -> pd.Series:
    """Return the mean training loss of the most influential fifth of the examples, run by run.

    Args:
        results: The results folder, which holds the runs' examples and the EL2N scores.
        runs: Rows of `runs.runs_table`, whose index the result has.

    Raises:
        ArtifactError: If a file is missing or damaged, or does not hold a seed's scores.
    """
    found = pd.Series(np.nan, index=runs.index)
    for (study, benchmark, noise, text), part in groups(
        runs, "study", "benchmark", "noise", "cohort"
    ):
        percent, cohort = percent_text(noise), Cohort.parse(text)
        losses = {}
        for (method, level), _ in groups(part, "method", "level"):
            path = RunPath(study, benchmark, percent, method, level, cohort)
            losses[method, level] = examples(results, path, "train_loss")["train_loss"]
        count = next(iter(losses.values())).shape[1]
        scores = _scores(results, benchmark, percent, cohort, count)
        hard = np.stack([group_of(own, HARD) == HARD for own in scores])
        for key, own in groups(part, "method", "level"):
            means = losses[key].mean(axis=1, where=hard, dtype=np.float64)
            found[own.index] = means[own["seed"] - cohort.first]
    return found


def _compared(results: Path, chosen: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the subgroups of some replicates, which `trained` names the methods of."""
    parts = [
        part
        for (_, _, cohort), own in groups(chosen, "benchmark", "noise", "cohort")
        for part in _cohort(results, Cohort.parse(cohort), own, reference)
    ]
    return stack(parts, COLUMNS)


def _scores(results: Path, benchmark: str, percent: str, cohort: Cohort, count: int) -> np.ndarray:
    """Return the scores of a cohort's examples, which are so many, averaged over networks."""
    file = results / "el2n" / benchmark / f"noise-{percent}" / f"{cohort}.npz"
    arrays, _ = read_npz(file, {"seeds": ("i", 1), "scores": ("f", 3)})
    check_seeds(file, arrays["seeds"], cohort.seeds)
    scores: np.ndarray = arrays["scores"].mean(axis=1, dtype=np.float64)
    if scores.shape[1] != count:
        raise ArtifactError(f"{file}: {scores.shape[1]} scores of {count} examples")
    return scores


def _cohort(
    results: Path, cohort: Cohort, chosen: pd.DataFrame, reference: str
) -> Iterator[pd.DataFrame]:
    """Yield the subgroups of all chosen levels whose replicates trained in one cohort."""
    first = chosen.iloc[0]
    noise = percent_text(first["noise"])

    @cache
    def losses(method: str, level: int) -> np.ndarray:
        path = RunPath(first["study"], first["benchmark"], noise, method, level, cohort)
        return examples(results, path, "train_loss")["train_loss"].astype(np.float64)

    dense = losses(reference, 0)
    scores = _scores(results, first["benchmark"], noise, cohort, dense.shape[1])
    for row in rows(chosen):
        own = row.seed - cohort.first
        group = group_of(scores[own])
        sparse = losses(row.trained, row.level)
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
