"""Reads finished training runs, checked against the recipes they should have been made with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gst.analysis.stability import recovery_epochs, run_stability
from gst.artifacts import ArtifactError, check_recipe, check_seeds, read_json, read_npz, read_table
from gst.layout import Cohort, RunPath, labels_path
from gst.recipe import (
    DenseSparseDense,
    FilterNoise,
    FilterSchedule,
    GradualPruning,
    Recipe,
    ScratchPruning,
)

EPOCHS = (
    "seed",
    "epoch",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "selection_accuracy",
    "report_accuracy",
    "accuracy_before",
    "accuracy_after",
    "targets",
)
"""Columns of epochs.parquet that the analysis reads."""

MEASURES = (
    "test_error",
    "selection_error",
    "report_error",
    "best_test_accuracy",
    "gap",
    "train_accuracy",
    "train_loss",
    "test_loss",
    "loss_original",
    "loss_noisy",
    "stability",
    "recovery_epochs",
)
"""What is measured on a replicate; NaN for one that diverged."""

DURING_TRAINING = (FilterSchedule, GradualPruning, DenseSparseDense)
"""Interventions whose events come while training goes on."""


@dataclass(frozen=True)
class Run:
    """One finished training job: a cohort of replicates of one recipe.

    Attributes:
        path: Its place under results/runs.
        recipe: What it was made with.
        record: The contents of run.json.
        epochs: The rows of epochs.parquet.
        losses: For each seed (the index) of the final weights, in evaluation mode: mean
            train_loss and train_accuracy, and the mean training losses loss_original and
            loss_noisy of the examples with the original and with a wrong label; all over the
            examples that were trained on.
        groups: For each seed and group of examples (the index), how many examples it has, and
            their mean loss and accuracy; None if the examples are not grouped.
    """

    path: RunPath
    recipe: Recipe
    record: dict[str, Any]
    epochs: pd.DataFrame
    losses: pd.DataFrame
    groups: pd.DataFrame | None = None


def read_runs(
    results: Path,
    expected: Mapping[str, Recipe],
    group: Callable[[RunPath], np.ndarray] | None = None,
) -> Iterator[Run]:
    """Read finished runs, one after the other.

    Args:
        results: The results folder.
        expected: The recipe of each run, by the text of its RunPath.
        group: Returns the group 1..M of every training example for each replicate of a run,
            shape [R, N], if examples are to be grouped. Runs that leave examples out are not.

    Raises:
        ArtifactError: If a file is missing or damaged, was made with another recipe, or holds
            other seeds than its folder says.
    """
    noisy = cache(wrong_labels)
    for text, recipe in expected.items():
        path = RunPath.parse(text)
        folder = results / "runs" / text
        record = read_json(folder / "run.json")
        check_recipe(folder / "run.json", record.get("recipe"), recipe)
        epochs = read_table(folder / "epochs.parquet", columns=EPOCHS)
        check_seeds(folder / "run.json", record["seeds"], path.cohort.seeds)
        check_seeds(folder / "epochs.parquet", epochs["seed"].unique(), path.cohort.seeds)
        measured = ("train_loss", "train_correct", *(("left_out",) if recipe.left_out else ()))
        arrays = examples(results, path, *measured)
        wrong = np.zeros(arrays["train_loss"].shape, dtype=bool)
        if recipe.labels.percent:
            file = results / labels_path(recipe.dataset, recipe.labels, path.cohort)
            wrong = noisy(file, path.cohort)
            _check_examples(file, "labels", wrong, arrays)
        groups = None
        if group and not recipe.left_out:
            assigned = group(path)
            _check_examples(f"EL2N scores for {text}", "scores", assigned, arrays)
            groups = _by_group(arrays, assigned)
        yield Run(path, recipe, record, epochs, _losses(arrays, wrong), groups)


def examples(results: Path, path: RunPath, *names: str) -> dict[str, np.ndarray]:
    """Read per-example arrays [R, N] of a run's final weights, such as train_loss.

    Raises:
        ArtifactError: If the file is missing or damaged, or holds other seeds.
    """
    file = results / "runs" / str(path) / "examples.npz"
    kinds = {name: ("f" if name.endswith("loss") else "b", 2) for name in names}
    arrays, _ = read_npz(file, {"seeds": ("i", 1), **kinds})
    check_seeds(file, arrays["seeds"], path.cohort.seeds)
    return arrays


def wrong_labels(file: Path, cohort: Cohort) -> np.ndarray:
    """Return which labels that a cohort trained on are wrong, bool [R, N].

    Raises:
        ArtifactError: If the file of labels is missing or damaged, or holds other seeds.
    """
    arrays, _ = read_npz(file, {"seeds": ("i", 1), "noisy": ("b", 2)})
    check_seeds(file, arrays["seeds"], cohort.seeds)
    noisy: np.ndarray = arrays["noisy"]
    return noisy


def runs_table(runs: list[Run]) -> pd.DataFrame:
    """Return one row a replicate: what it is, and what was measured on it.

    Errors and accuracies are fractions, losses are in nats. Errors belong to the final epoch,
    on the whole test set and on its two fixed halves. As published (stability protocol),
    best_test_accuracy is the best among the epochs from the last event during training on
    (pruning, noise, or the return of pruned weights), the state after that event included, and
    gap is the running training accuracy of that epoch minus it; runs without such events and
    scratch runs use all epochs.

    intervention is the kind of the recipe's intervention, or for noise its own kind ("zero",
    "restore", "gaussian"), which lasts for `batches` training batches; "none" without one. target
    is "S", "R", "L" or "". iterative_rate is the largest share of a layer's filters (or of all
    weights) that one event hits, in percent. reduction_own is the share of the network's
    parameters that are masked, reduction_physical the share that a physically smaller network
    lacks: parameters that read pruned filters, too. recovery_epochs is as
    `stability.recovery_epochs` says.

    stability is that of the run's own events; for a level of pruning the one before its first
    step. chain_stability is the mean over all levels of pruning that led to the run, its own
    included.
    """
    table = pd.DataFrame(row for run in runs for row in _replicates(run))
    return table.assign(chain_stability=_over_chains(runs, table))


def jobs_table(runs: list[Run]) -> pd.DataFrame:
    """Return one row a training job: how it was run and what it cost."""
    kept = (
        "seconds steps peak_memory_mb energy_joules threads device parameters prunable code started"
    )
    table = pd.DataFrame(
        {
            **_place(run),
            "replicates": len(run.record["seeds"]),
            "diverged": len(run.record["diverged"]),
            **{name: run.record[name] for name in kept.split()},
            "versions": json.dumps(run.record["versions"], sort_keys=True),
            "hardware": json.dumps(run.record["hardware"], sort_keys=True),
        }
        for run in runs
    )
    return table.astype({"energy_joules": float})


def curves_table(runs: list[Run]) -> pd.DataFrame:
    """Return the test accuracy of every replicate at every epoch, diverged ones left out.

    pruned_accuracy is the test accuracy right after a pruning event at the end of that epoch.
    """
    columns = ["seed", "epoch", "test_accuracy", "pruned_accuracy", "train_accuracy"]
    parts = []
    for run in runs:
        epochs = run.epochs.rename(columns={"accuracy_after": "pruned_accuracy"})
        healthy = ~epochs["seed"].isin(run.record["diverged"])
        parts.append(epochs.loc[healthy, columns].assign(**_place(run)))
    return pd.concat(parts, ignore_index=True)[[*_place(runs[0]), *columns]]


def _replicates(run: Run) -> Iterator[dict[str, Any]]:
    record = run.record
    intervention = _intervention(run.recipe)
    for index, seed in enumerate(record["seeds"]):
        diverged = seed in record["diverged"]
        epochs = run.epochs[run.epochs["seed"] == seed].sort_values("epoch")
        events = int((epochs["targets"] > 0).sum())
        if isinstance(run.recipe.intervention, ScratchPruning):
            events = 0
        measures = dict.fromkeys(MEASURES, np.nan)
        if not diverged:
            measures |= _measures(epochs, run.recipe, events) | run.losses.loc[seed].to_dict()
        yield {
            **_place(run),
            "seed": seed,
            **intervention,
            "density": record["density"][index],
            "weights_remaining": record["weights_remaining"][index],
            "reduction_own": _reduction(record, "parameters_left", index),
            "reduction_physical": _reduction(record, "parameters_physical", index),
            "epochs_spent": record["epochs_spent"],
            **measures,
            "events": events,
            "diverged": diverged,
            "seconds": record["seconds"] / len(record["seeds"]),
        }


def _over_chains(runs: list[Run], table: pd.DataFrame) -> list[float]:
    """Return each replicate's mean stability over its level and the levels it started from."""
    keys = ["benchmark", "noise", "method", "level", "seed"]
    stability = table.set_index(keys)["stability"].to_dict()
    found = []
    for run in runs:
        levels, before = [run.path.level], run.recipe.previous()
        while before and before.level:
            levels.append(before.level)
            before = before.previous()
        place = run.path.benchmark, float(run.path.percent), run.path.method
        for seed in run.record["seeds"]:
            steps = [stability.get((*place, level, seed), np.nan) for level in levels]
            found.append(float(np.mean(steps)))
    return found


def _intervention(recipe: Recipe) -> dict[str, Any]:
    own = recipe.intervention
    kind: str = own.kind if own else "none"
    rate = batches = np.nan
    if isinstance(own, FilterSchedule):
        rate = max(own.fraction(k) / len(own.events(k)) for k in range(own.layers or 1))
    elif isinstance(own, GradualPruning):
        rate = own.fraction / len(own.events)
    if isinstance(own, FilterNoise):
        kind, batches = own.noise, own.batches
    return {
        "intervention": kind,
        "target": getattr(own, "target", ""),
        "iterative_rate": 100 * rate,
        "batches": batches,
    }


def _reduction(record: dict[str, Any], count: str, index: int) -> float:
    """Return the share of parameters that a count of what is left lacks, NaN if not counted."""
    return 1 - record[count][index] / record["parameters"] if count in record else np.nan


def _measures(epochs: pd.DataFrame, recipe: Recipe, events: int) -> dict[str, float]:
    """Return what one replicate's epochs say, the first row being the state before any step."""
    window = epochs.dropna(subset="train_accuracy")
    accuracy = window["test_accuracy"].to_numpy()
    if isinstance(recipe.intervention, DURING_TRAINING) and events:
        start = window.loc[window["targets"] > 0, "epoch"].max()
        if isinstance(recipe.intervention, DenseSparseDense):
            start = recipe.intervention.last_event + 1
        window = window[window["epoch"] >= start]
        accuracy = window["accuracy_after"].fillna(window["test_accuracy"]).to_numpy()
    best = int(np.argmax(accuracy))
    last = epochs.iloc[-1]
    return {
        "test_error": 1 - last["test_accuracy"],
        "selection_error": 1 - last["selection_accuracy"],
        "report_error": 1 - last["report_accuracy"],
        "test_loss": last["test_loss"],
        "best_test_accuracy": accuracy[best],
        "gap": window["train_accuracy"].to_numpy()[best] - accuracy[best],
        "stability": run_stability(epochs) if events else 1.0,
        "recovery_epochs": recovery_epochs(epochs) if events else np.nan,
    }


def _check_examples(
    place: Path | str, what: str, found: np.ndarray, examples: Mapping[str, np.ndarray]
) -> None:
    if found.shape != examples["train_loss"].shape:
        raise ArtifactError(
            f"{place}: {found.shape[1]} {what}, but the run has losses of "
            f"{examples['train_loss'].shape[1]} examples"
        )


def _losses(examples: Mapping[str, np.ndarray], noisy: np.ndarray) -> pd.DataFrame:
    loss = examples["train_loss"]
    trained = ~examples.get("left_out", np.zeros(loss.shape, dtype=bool))
    return pd.DataFrame(
        {
            "train_loss": _mean_where(loss, trained),
            "train_accuracy": _mean_where(examples["train_correct"], trained),
            "loss_original": _mean_where(loss, trained & ~noisy),
            "loss_noisy": _mean_where(loss, trained & noisy),
        },
        index=examples["seeds"],
    )


def _by_group(examples: Mapping[str, np.ndarray], group: np.ndarray) -> pd.DataFrame:
    """Return how many examples each seed's groups have, and their mean loss and accuracy."""
    count = group.max()
    cell = (group - 1 + count * np.arange(len(group))[:, None]).ravel()
    size = np.bincount(cell)
    loss, accuracy = (
        np.bincount(cell, weights=examples[name].ravel()) / size
        for name in ("train_loss", "train_correct")
    )
    index = pd.MultiIndex.from_product(
        [examples["seeds"], range(1, count + 1)], names=["seed", "group"]
    )
    return pd.DataFrame({"examples": size, "loss": loss, "accuracy": accuracy}, index=index)


def _mean_where(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return each row's mean over its masked entries, NaN where there are none."""
    counts = mask.sum(axis=1)
    sums = values.sum(axis=1, where=mask, dtype=np.float64)
    means = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _place(run: Run) -> dict[str, Any]:
    path = run.path
    return {
        "study": path.study,
        "benchmark": path.benchmark,
        "noise": float(path.percent),
        "method": path.method,
        "level": path.level,
        "cohort": str(path.cohort),
    }
