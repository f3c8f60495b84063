"""What each account says of a run, from the files of runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.accounts import COLUMNS, accounts_table
from gst.analysis.runs import read_runs, runs_table
from gst.analysis.tables import regularization_tables, stability_tables
from gst.artifacts import write_json
from gst.recipe import FilterPruning, WeightPruning

PLACE = "regularization/toy/noise-{}/{}/level-{:02d}"
FINAL = [0.1, 0.2, 0.3, 0.4, 0.5]


def epochs(writer, left: float | None = None) -> list[pd.DataFrame]:
    """Epochs of two seeds; before the first step pruning leaves a share of the accuracy."""
    events = {}
    if left is not None:
        nothing = [np.nan] * 4
        events = {
            "accuracy_before": [0.8, *nothing],
            "accuracy_after": [0.8 * left, *nothing],
            "targets": [1, 0, 0, 0, 0],
        }
    return [writer.epochs(seed, FINAL, **events) for seed in (0, 1)]


def chain(writer, name: str, shares: list[float], percent: float = 0, **settings) -> None:
    pruning = WeightPruning(kind="weights", **settings)
    for level, left in enumerate(shares, start=1):
        recipe = writer.recipe(percent, level=level, intervention=pruning)
        place = PLACE.format(f"{percent:g}", name, level)
        writer.run(place, recipe, epochs(writer, left), weights=0.8**level)


def runs_of(writer) -> pd.DataFrame:
    return runs_table(list(read_runs(writer.results, writer.expected)))


def test_stability_of_a_level_is_the_mean_over_what_led_to_it(writer) -> None:
    writer.run(PLACE.format(0, "dense", 0), writer.recipe(), epochs(writer))
    chain(writer, "pruned", [1.0, 0.5, 0.25])
    chain(writer, "one-shot", [0.9, 0.5, 0.25], schedule="one-shot")
    writer.run(PLACE.format(0, "extended", 1), writer.recipe(level=1), epochs(writer))
    writer.run(PLACE.format(0, "width", 1), writer.recipe(), epochs(writer))
    runs = runs_of(writer).query("seed == 1").set_index(["method", "level"])
    assert runs["stability"].loc["pruned"].tolist() == pytest.approx([1.0, 0.5, 0.25])
    chained = runs["chain_stability"]
    assert chained.loc["pruned"].tolist() == pytest.approx([1.0, 0.75, 1.75 / 3])
    assert chained.loc["one-shot"].tolist() == pytest.approx([0.9, 0.5, 0.25])
    assert chained["dense", 0] == chained["extended", 1] == chained["width", 1] == 1


def test_stability_is_unknown_after_a_level_that_diverged(writer) -> None:
    chain(writer, "pruned", [1.0, 0.5, 0.25])
    pruning = WeightPruning(kind="weights")
    second = writer.recipe(level=2, intervention=pruning)
    writer.run(PLACE.format(0, "pruned", 2), second, epochs(writer, 0.5), diverged=(1,))
    chained = runs_of(writer).set_index(["seed", "level"])["chain_stability"]
    assert chained[0].tolist() == pytest.approx([1.0, 0.75, 1.75 / 3])
    assert chained[1].isna().tolist() == [False, True, True]


def write_flatness(writer, path: str, traces: list[float | None]) -> None:
    record = {
        "seeds": [0, 1],
        "split": {"train": {"trace_hutchinson": traces}, "test": {"trace_hutchinson": [0.0, 0.0]}},
    }
    write_json(writer.results / "flatness" / path / "flatness.json", record)


def test_accounts_of_the_regularization_study(writer) -> None:
    rng = np.random.default_rng(0)
    losses = rng.random((2, 40)).astype(np.float32)
    noisy = rng.random((2, 40)) < 0.3
    writer.labels("20", noisy)
    for percent in (0, 20):
        text = f"{percent:g}"
        writer.run(PLACE.format(text, "dense", 0), writer.recipe(percent), epochs(writer), losses)
        chain(writer, "pruned", [0.5], percent)
        chain(writer, "random", [0.5], percent, score="random")
        writer.scores("toy", text, rng.random((2, 2, 40)))
    flat = [path for path in writer.expected if "dense" in path]
    for path in flat:
        write_flatness(writer, path, [5.0, None])
    tables = regularization_tables(writer.results, writer.expected, groups=20, flatness=flat)
    assert set(tables["flatness"]["noise"]) == {0.0, 20.0}
    found = tables["accounts"]
    assert tuple(found) == COLUMNS
    assert set(found["method"]) == {"dense", "pruned"}  # ablations have no flatness
    found = found.set_index(["noise", "method", "seed"])
    assert set(found["test_accuracy"]) == {0.5}
    assert found.loc[(20.0, "pruned", 1), "size"] == pytest.approx(0.8)
    assert found.loc[(20.0, "pruned", 1), "length"] == 8
    assert found.loc[(20.0, "pruned", 1), "stability"] == pytest.approx(0.5)
    assert found.loc[(0.0, "dense", 0), "flatness"] == -5
    assert found["flatness"].notna().sum() == 2
    wrong = losses[1][noisy[1]].mean()
    assert found.loc[(20.0, "dense", 1), "loss"] == pytest.approx(wrong)
    arrays = np.load(writer.results / "el2n/toy/noise-0/seeds-0-1.npz")
    top = np.argsort(arrays["scores"][1].mean(axis=0))[-8:]
    assert found.loc[(0.0, "dense", 1), "loss"] == pytest.approx(losses[1][top].mean())


def test_what_is_not_measured_is_not_known(writer) -> None:
    writer.run(PLACE.format(0, "dense", 0), writer.recipe(), epochs(writer))
    found = regularization_tables(writer.results, writer.expected, groups=None)["accounts"]
    assert len(found) == 2
    assert found[["flatness", "loss"]].isna().all(axis=None)
    empty = accounts_table(runs_of(writer)[:0], pd.DataFrame(), pd.Series(dtype=float))
    assert tuple(empty) == COLUMNS


def test_variants_of_the_stability_study_are_compared_with_training_without_pruning(writer) -> None:
    rng = np.random.default_rng(1)
    losses = {name: rng.random((2, 40)).astype(np.float32) for name in ("plain", "fast")}
    pruning = FilterPruning(
        kind="filters",
        fractions=0.5,
        first_epochs=0,
        last_epochs=2,
        period=None,
        target="S",
    )
    for name, intervention in (("fast", pruning), ("plain", None)):
        recipe = writer.recipe(intervention=intervention)
        place = f"stability/toy/noise-0/{name}/level-00"
        writer.run(place, recipe, epochs(writer), losses[name])
    scores = rng.random((2, 2, 40))
    writer.scores("toy", "0", scores)
    tables = stability_tables(writer.results, writer.expected, [], [], groups=20)
    found = tables["subgroups"]
    assert set(found["method"]) == {"fast"}
    assert set(found["protocol"]) == {"clean"}
    order = np.argsort(scores[1].mean(axis=0))
    own = found[found["seed"] == 1]
    assert own["group"].tolist() == [*range(1, 21)]
    change = (losses["fast"][1] - losses["plain"][1])[order].reshape(20, 2).mean(axis=1)
    np.testing.assert_allclose(own["loss_difference"], change, atol=1e-6)
    assert len(tables["el2n"]) == 2
    accounts = tables["accounts"].set_index(["method", "seed"])
    hard = losses["fast"][1][order[-8:]].mean()
    assert accounts.loc[("fast", 1), "loss"] == pytest.approx(hard)


def test_nothing_is_compared_without_scores(writer) -> None:
    writer.run("stability/toy/noise-0/none/level-00", writer.recipe(), epochs(writer))
    tables = stability_tables(writer.results, writer.expected, [], [])
    assert tables["subgroups"].empty
    assert tables["el2n"].empty
    assert tables["accounts"]["loss"].isna().all()
