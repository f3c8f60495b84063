"""Training loss of sparse minus dense networks, by how influential the examples are.

Regularization paper, section 3: the training set is split into 20 subgroups by percentile of
the EL2N score, and the losses of the final weights are compared within each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from gst.analysis.runs import Run
from gst.artifacts import check_seeds, read_npz
from gst.layout import Cohort, RunPath

HARD = 5
"""Number of groups of which the last, the most influential fifth, counts as hard."""

PLACE = ("study", "benchmark", "noise", "method", "level", "seed")

MEASURES = (
    "group",
    "percentile",
    "examples",
    "loss_dense",
    "loss_sparse",
    "loss_difference",
    "accuracy_dense",
    "accuracy_sparse",
    "accuracy_difference",
)
"""A group, the highest one that of the most influential examples, and the upper end of its range
of scores; its examples, their mean loss in nats, and the share that is classified as labelled."""

LEVELS = (*PLACE, "weights_remaining", "epochs_spent", *MEASURES)
"""Columns of the table of every level."""

COLUMNS = ("study", "benchmark", "noise", "method", "protocol", "which", "level", "seed", *MEASURES)
"""Columns of the table of the selected levels."""


def group_of(scores: np.ndarray, groups: int) -> np.ndarray:
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


def grouping(results: Path, groups: int) -> Callable[[RunPath], np.ndarray]:
    """Return what assigns the training examples of a run to groups by their EL2N score.

    Scores are averaged over the networks of a draw of the labels; each seed is split by the
    scores of its own draw.

    Args:
        results: The results folder, which holds the scores.
        groups: Number of groups M.

    Returns:
        A function from a run's place to the group 1..M of each example, [R, N]. It raises
        ArtifactError if the file of its scores is missing, damaged, or of other seeds.
    """

    @cache
    def of(benchmark: str, percent: str, cohort: Cohort) -> np.ndarray:
        file = results / f"el2n/{benchmark}/noise-{percent}/{cohort}.npz"
        arrays, _ = read_npz(file, {"seeds": ("i", 1), "scores": ("f", 3)})
        check_seeds(file, arrays["seeds"], cohort.seeds)
        scores = arrays["scores"].mean(axis=1, dtype=np.float64)
        return np.stack([group_of(own, groups) for own in scores])

    return lambda path: of(path.benchmark, path.percent, path.cohort)


def subgroup_levels(
    found: Sequence[Run], runs: pd.DataFrame, reference: str = "dense"
) -> pd.DataFrame:
    """Return, for each method, level and seed, the mean losses of every subgroup.

    Args:
        found: Runs; those whose examples are not grouped do not count.
        runs: As `runs.runs_table` makes it.
        reference: The method that others are compared with.

    Returns:
        The columns of `LEVELS`, the reference included as "dense"; NaN for diverged replicates.
    """
    parts = {
        (path.study, path.benchmark, float(path.percent), path.method, path.level, path.cohort): own
        for path, own in ((run.path, run.groups) for run in found)
        if own is not None
    }
    if not parts:
        return pd.DataFrame(columns=list(LEVELS))
    facts = runs[[*PLACE, "weights_remaining", "epochs_spent", "diverged"]]
    table = (
        pd.concat(parts, names=[*PLACE[:-1], "cohort"]).reset_index().merge(facts, on=list(PLACE))
    )
    table[["loss", "accuracy"]] = table[["loss", "accuracy"]].mask(table.pop("diverged"))
    keys = ["benchmark", "noise", "seed", "group"]
    dense = table.loc[table["method"] == reference, [*keys, "loss", "accuracy"]]
    table = table.merge(dense, on=keys, suffixes=("_sparse", "_dense"))
    table["percentile"] = 100 * table["group"] / table["group"].max()
    for name in ("loss", "accuracy"):
        table[f"{name}_difference"] = table[f"{name}_sparse"] - table[f"{name}_dense"]
    return table[list(LEVELS)]


def subgroups(selected: pd.DataFrame, levels: pd.DataFrame) -> pd.DataFrame:
    """Return, for each selected level and seed, the mean losses of every subgroup.

    Args:
        selected: As `selection.selected` makes it; its optimal and sparsest-better rows count.
        levels: As `subgroup_levels` makes it.

    Returns:
        The columns of `COLUMNS`. Where dense training is optimal, all differences are zero.
    """
    chosen = selected.loc[selected["which"] != "dense", [*PLACE, "protocol", "which"]]
    trained = chosen["method"].where(chosen["level"] > 0, "dense")
    measured = levels[[*PLACE, *MEASURES]].rename(columns={"method": "trained"})
    keys = [*(name for name in PLACE if name != "method"), "trained"]
    return chosen.assign(trained=trained).merge(measured, on=keys)[list(COLUMNS)]


def variant_subgroups(levels: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return, for each variant of a stability benchmark, the mean losses of every subgroup.

    The final weights of variants stand in place of sparse networks, and those that were trained
    without pruning in place of dense ones.

    Args:
        levels: As `subgroup_levels` makes it, of one benchmark.
        reference: The variant without pruning.

    Returns:
        As `subgroups`; the protocol is "clean", and `which` is "final".
    """
    others = levels[levels["method"] != reference]
    return others.assign(protocol="clean", which="final")[list(COLUMNS)]


def hard_losses(levels: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """Return the mean training loss of the most influential fifth of the examples, run by run.

    Args:
        levels: As `subgroup_levels` makes it; the fifth are the groups that lie wholly in it.
        runs: As `runs.runs_table` makes it; the result has its index. NaN for runs whose
            examples are not grouped.
    """
    last = levels["group"].max()
    hard = levels[levels["group"] > last - last // HARD]
    total = (hard["loss_sparse"] * hard["examples"]).astype(float)
    keys = [hard[name] for name in PLACE]
    means = total.groupby(keys).sum(min_count=1) / hard["examples"].groupby(keys).sum()
    place = pd.MultiIndex.from_frame(runs[list(PLACE)])
    return pd.Series(means.reindex(place).to_numpy(dtype=float), index=runs.index)
