"""Tables of replicates, jobs and curves from the files of runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gst.analysis.runs import curves_table, jobs_table, read_runs, runs_table
from gst.artifacts import ArtifactError, read_json, write_json, write_table
from gst.layout import Cohort
from gst.recipe import (
    DenseSparseDense,
    FilterNoise,
    FilterPruning,
    GradualPruning,
    ScratchPruning,
)

DENSE = "regularization/toy/noise-0/dense/level-00"
NAN = math.nan


def filters(**given) -> FilterPruning:
    return FilterPruning(
        kind="filters",
        fractions=(0.5,),
        first_epochs=(0,),
        last_epochs=(1,),
        period=1,
        target="S",
        **given,
    )


def table(writer):
    return runs_table(list(read_runs(writer.results, writer.expected)))


def test_a_replicate_is_a_row(writer) -> None:
    accuracies = [[0.1, 0.4, 0.7, 0.6, 0.5], [0.1, 0.2, 0.3, 0.4, 0.8]]
    epochs = [writer.epochs(seed, values) for seed, values in enumerate(accuracies)]
    writer.run(DENSE, writer.recipe(), epochs, weights=0.25)
    found = table(writer)
    assert found["seed"].tolist() == [0, 1]
    row = found.iloc[0]
    assert (row["study"], row["benchmark"], row["noise"]) == ("regularization", "toy", 0.0)
    assert (row["method"], row["level"], row["cohort"]) == ("dense", 0, "seeds-0-1")
    assert (row["density"], row["weights_remaining"], row["epochs_spent"]) == (0.25, 0.25, 4)
    assert row["seconds"] == 3.0
    assert not row["diverged"]
    # The final epoch counts for errors, the best one for the published accuracy.
    assert row["test_error"] == pytest.approx(0.5)
    assert row["selection_error"] == pytest.approx(0.52)
    assert row["report_error"] == pytest.approx(0.48)
    assert row["test_loss"] == pytest.approx(1.5)
    assert row["best_test_accuracy"] == pytest.approx(0.7)
    assert row["gap"] == pytest.approx(0.1)
    assert (row["stability"], row["events"]) == (1.0, 0)
    assert found.iloc[1]["best_test_accuracy"] == pytest.approx(0.8)


def test_rows_do_not_depend_on_the_order_of_epochs(writer) -> None:
    epochs = writer.epochs(0, [0.1, 0.4, 0.7, 0.6, 0.5])
    writer.run(DENSE, writer.recipe(), [epochs[::-1]])
    row = table(writer).iloc[0]
    assert row["test_error"] == pytest.approx(0.5)
    assert row["best_test_accuracy"] == pytest.approx(0.7)


def test_the_best_epoch_is_sought_after_the_last_pruning(writer) -> None:
    epochs = writer.epochs(
        0,
        [0.1, 0.9, 0.8, 0.5, 0.6],
        accuracy_before=[NAN, 0.9, 0.8, NAN, NAN],
        accuracy_after=[NAN, 0.45, 0.7, NAN, NAN],
        targets=[0, 3, 2, 0, 0],
        train_accuracy=[NAN, 0.91, 0.95, 0.97, 0.99],
    )
    writer.run(
        "stability/toy/noise-0/s-fast/level-00", writer.recipe(intervention=filters()), [epochs]
    )
    row = table(writer).iloc[0]
    # 0.9 and 0.8 were reached before the last filters went; 0.7 is left right after.
    assert row["best_test_accuracy"] == pytest.approx(0.7)
    assert row["gap"] == pytest.approx(0.95 - 0.7)
    assert row["stability"] == pytest.approx((0.45 / 0.9 + 0.7 / 0.8) / 2)
    assert row["events"] == 2


EVENT = {
    "accuracy_before": [NAN, 0.9, NAN, NAN, NAN],
    "accuracy_after": [NAN, 0.45, NAN, NAN, NAN],
    "targets": [0, 3, 0, 0, 0],
}
"""One event, at the end of the first epoch."""
NOISE = {
    "kind": "noise",
    "noise": "zero",
    "batches": 50,
    "fractions": 0.5,
    "first_epochs": 0,
    "last_epochs": 2,
    "period": None,
    "target": "L",
}
GRADUAL = {
    "kind": "gradual",
    "fraction": 0.4,
    "first_epoch": 0,
    "last_epoch": 1,
    "period": 1,
    "target": "R",
}
DENSE_SPARSE_DENSE = {
    "kind": "dense-sparse-dense",
    "fraction": 0.4,
    "sparse_epoch": 0,
    "dense_epoch": 2,
}


@pytest.mark.parametrize(
    ("intervention", "best"),
    [
        (FilterNoise(**NOISE), 0.85),
        (GradualPruning(**GRADUAL), 0.85),
        (DenseSparseDense(**DENSE_SPARSE_DENSE), 0.6),  # dense again after 3 epochs
        (ScratchPruning(kind="scratch", fractions=0.5), 0.9),
        (None, 0.9),
    ],
    ids=["noise", "gradual", "dense-sparse-dense", "scratch", "none"],
)
def test_the_published_window_of_every_intervention(writer, intervention, best: float) -> None:
    event = EVENT if intervention else {}
    epochs = writer.epochs(0, [0.1, 0.9, 0.85, 0.5, 0.6], **event)
    writer.run(
        "stability/toy/noise-0/v/level-00", writer.recipe(intervention=intervention), [epochs]
    )
    assert table(writer).iloc[0]["best_test_accuracy"] == pytest.approx(best)


@pytest.mark.parametrize(
    ("intervention", "expected"),
    [
        (FilterNoise(**NOISE), ("zero", "L", 50.0, 50.0)),
        (FilterNoise(**{**NOISE, "noise": "gaussian", "batches": 1}), ("gaussian", "L", 50.0, 1.0)),
        (GradualPruning(**GRADUAL), ("gradual", "R", 20.0, NAN)),
        (DenseSparseDense(**DENSE_SPARSE_DENSE), ("dense-sparse-dense", "", NAN, NAN)),
        (ScratchPruning(kind="scratch", fractions=0.5), ("scratch", "", NAN, NAN)),
        (None, ("none", "", NAN, NAN)),
    ],
)
def test_what_was_done_to_a_run(writer, intervention, expected) -> None:
    epochs = writer.epochs(0, [0.1, 0.9, 0.85, 0.5, 0.6])
    writer.run(
        "stability/toy/noise-0/v/level-00", writer.recipe(intervention=intervention), [epochs]
    )
    row = table(writer).iloc[0]
    columns = ["intervention", "target", "iterative_rate", "batches"]
    assert row[columns].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("period", "rate"),
    [(4, 90 / 68), (20, 90 / 14), (40, 90 / 7), (60, 18), (100, 30), (200, 45), (None, 90)],
)
def test_iterative_rates_of_figure_3(writer, period: int | None, rate: float) -> None:
    pruning = FilterPruning(
        kind="filters",
        fractions=(0.3, 0.3, 0.3, 0.9),
        first_epochs=(3, 4, 5, 6),
        last_epochs=(150, 150, 150, 275),
        period=period,
        target="S",
    )
    training = writer.recipe().training.model_copy(update={"epochs": 325})
    recipe = writer.recipe(intervention=pruning, training=training)
    epochs = writer.epochs(0, [0.1, 0.9, 0.85, 0.5, 0.6])
    writer.run("stability/toy/noise-0/v/level-00", recipe, [epochs])
    assert table(writer).iloc[0]["iterative_rate"] == pytest.approx(rate)


def test_both_counts_of_the_parameters_that_went(writer) -> None:
    epochs = [writer.epochs(seed, [0.1, 0.9, 0.85, 0.5, 0.6]) for seed in (0, 1)]
    path = writer.run(DENSE, writer.recipe(), epochs)
    found = table(writer)
    assert found[["reduction_own", "reduction_physical"]].isna().all(axis=None)
    file = writer.results / "runs" / path / "run.json"
    counts = {"parameters_left": [58, 100], "parameters_physical": [46, 100]}
    write_json(file, read_json(file) | counts)
    found = table(writer)
    assert found["reduction_own"].tolist() == pytest.approx([0.42, 0])
    assert found["reduction_physical"].tolist() == pytest.approx([0.54, 0])


def test_events_that_remove_nothing_do_not_count(writer) -> None:
    epochs = writer.epochs(
        0,
        [0.1, 0.5, 0.8, 0.6, 0.6],
        accuracy_before=[NAN, 0.5, NAN, NAN, NAN],
        accuracy_after=[NAN, 0.4, NAN, NAN, NAN],
        targets=[0, 1, 0, 0, 0],
    )
    writer.run(
        "stability/toy/noise-0/s-slow/level-00", writer.recipe(intervention=filters()), [epochs]
    )
    row = table(writer).iloc[0]
    assert (row["events"], row["stability"]) == (1, pytest.approx(0.8))
    assert row["recovery_epochs"] == 1
    assert row["best_test_accuracy"] == pytest.approx(0.8)


def test_a_scratch_run_is_stable_and_uses_all_epochs(writer) -> None:
    recipe = writer.recipe(intervention=ScratchPruning(kind="scratch", fractions=(0.5,)))
    epochs = writer.epochs(
        0,
        [0.2, 0.9, 0.8, 0.5, 0.6],
        accuracy_before=[0.2, NAN, NAN, NAN, NAN],
        accuracy_after=[0.1, NAN, NAN, NAN, NAN],
        targets=[5, 0, 0, 0, 0],
    )
    writer.run("stability/toy/noise-0/scratch/level-00", recipe, [epochs])
    row = table(writer).iloc[0]
    assert (row["stability"], row["events"]) == (1.0, 0)
    assert row["best_test_accuracy"] == pytest.approx(0.9)


def test_losses_of_original_and_noisy_examples(writer) -> None:
    rng = np.random.default_rng(0)
    losses = rng.random((2, 40)).astype(np.float32)
    noisy = rng.random((2, 40)) < 0.3
    writer.labels("30", noisy)
    epochs = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 0.5]) for seed in (0, 1)]
    writer.run("regularization/toy/noise-30/dense/level-00", writer.recipe(30), epochs, losses)
    writer.run(DENSE, writer.recipe(), epochs, losses)
    found = table(writer)
    for seed in (0, 1):
        row = found[(found["noise"] == 30) & (found["seed"] == seed)].iloc[0]
        original = [float(v) for v, n in zip(losses[seed], noisy[seed], strict=True) if not n]
        wrong = [float(v) for v, n in zip(losses[seed], noisy[seed], strict=True) if n]
        assert row["loss_original"] == pytest.approx(sum(original) / len(original))
        assert row["loss_noisy"] == pytest.approx(sum(wrong) / len(wrong))
        assert row["train_loss"] == pytest.approx(losses[seed].mean())
        assert row["train_accuracy"] == pytest.approx(np.mean(losses[seed] < 0.7))
        clean = found[(found["noise"] == 0) & (found["seed"] == seed)].iloc[0]
        assert clean["loss_original"] == pytest.approx(losses[seed].mean())
        assert math.isnan(clean["loss_noisy"])


def test_a_diverged_replicate_is_recorded_and_not_measured(writer) -> None:
    epochs = [
        writer.epochs(0, [0.1, 0.2, 0.3, 0.4, 0.5]),
        writer.epochs(1, [0.1, NAN, NAN, NAN, NAN]),
    ]
    writer.run(DENSE, writer.recipe(), epochs, diverged=(1,))
    found = table(writer)
    assert found["diverged"].tolist() == [False, True]
    lost = found.iloc[1]
    assert lost[["test_error", "best_test_accuracy", "gap", "stability", "train_loss"]].isna().all()
    runs = list(read_runs(writer.results, writer.expected))
    assert curves_table(runs)["seed"].unique().tolist() == [0]
    assert jobs_table(runs)["diverged"].tolist() == [1]


def test_jobs_and_curves(writer) -> None:
    epochs = [
        writer.epochs(
            seed,
            [0.1, 0.5, 0.8, 0.6, 0.6],
            accuracy_before=[NAN, 0.5, NAN, NAN, NAN],
            accuracy_after=[NAN, 0.4, NAN, NAN, NAN],
            targets=[0, 1, 0, 0, 0],
        )
        for seed in (0, 1, 2)
    ]
    writer.run(
        "stability/toy/noise-0/s-fast/level-00", writer.recipe(intervention=filters()), epochs
    )
    runs = list(read_runs(writer.results, writer.expected))
    job = jobs_table(runs).iloc[0]
    assert (job["replicates"], job["seconds"], job["threads"], job["device"]) == (3, 6.0, 1, "cpu")
    assert json.loads(job["versions"]) == {"python": "3.11"}
    curves = curves_table(runs)
    one = curves[curves["seed"] == 2]
    assert one["test_accuracy"].tolist() == [0.1, 0.5, 0.8, 0.6, 0.6]
    assert one["pruned_accuracy"].dropna().tolist() == [0.4]
    assert one["epoch"].tolist() == [*range(5)]


def test_seeds_of_further_blocks(writer) -> None:
    for first in (0, 2):
        epochs = [writer.epochs(first + k, [0.1, 0.2, 0.3, 0.4, 0.5]) for k in (0, 1)]
        writer.run(DENSE, writer.recipe(), epochs, cohort=Cohort(first, first + 1))
    assert table(writer)["seed"].tolist() == [0, 1, 2, 3]


def test_a_run_of_another_recipe_is_refused(writer) -> None:
    path = writer.run(DENSE, writer.recipe(), [writer.epochs(0, [0.1, 0.2, 0.3, 0.4, 0.5])])
    writer.expected[path] = writer.recipe(dataset="other")
    with pytest.raises(ArtifactError, match=r"run\.json: made with another recipe; dataset differ"):
        table(writer)


@pytest.mark.parametrize("file", ["run.json", "epochs.parquet"])
def test_a_run_of_other_seeds_is_refused(writer, file: str) -> None:
    path = writer.run(DENSE, writer.recipe(), [writer.epochs(0, [0.1, 0.2, 0.3, 0.4, 0.5])])
    target = writer.results / "runs" / path / file
    if file == "run.json":
        write_json(target, read_json(target) | {"seeds": [1]})
    else:
        write_table(target, writer.epochs(5, [0.1, 0.2, 0.3, 0.4, 0.5]))
    with pytest.raises(ArtifactError, match=rf"{file}: holds the seeds .*, not \[0\]"):
        table(writer)


def test_a_missing_file_is_named(writer) -> None:
    path = writer.run(DENSE, writer.recipe(), [writer.epochs(0, [0.1, 0.2, 0.3, 0.4, 0.5])])
    (writer.results / "runs" / path / "examples.npz").unlink()
    with pytest.raises(ArtifactError, match=r"examples\.npz: no such file"):
        table(writer)


def test_labels_of_another_number_of_examples_are_refused(writer) -> None:
    writer.labels("30", np.zeros((1, 7), dtype=bool))
    epochs = [writer.epochs(0, [0.1, 0.2, 0.3, 0.4, 0.5])]
    writer.run("regularization/toy/noise-30/dense/level-00", writer.recipe(30), epochs)
    with pytest.raises(ArtifactError, match="7 labels, but the run has losses of 40 examples"):
        table(writer)
