"""Subgroups by EL2N percentile, against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gst.analysis.subgroups import group_of
from gst.analysis.tables import regularization_tables
from gst.artifacts import ArtifactError
from gst.recipe import WeightPruning

RNG = np.random.default_rng(4)
DENSE, SPARSE = RNG.random((2, 2, 40)).astype(np.float32)
SCORES = RNG.random((2, 3, 40)).astype(np.float32)


@given(st.lists(st.integers(0, 9), min_size=5, max_size=60), st.integers(1, 5))
def test_groups_are_equally_large_and_ordered(scores: list[int], groups: int) -> None:
    found = group_of(np.array(scores), groups)
    sizes = np.bincount(found, minlength=groups + 1)[1:]
    assert sizes.sum() == len(scores)
    assert sizes.max() - sizes.min() <= 1
    for low, high in zip(range(1, groups), range(2, groups + 1), strict=True):
        assert max(np.array(scores)[found == low]) <= min(np.array(scores)[found == high])


def test_ties_keep_their_order() -> None:
    assert group_of(np.array([1, 1, 0, 1]), 2).tolist() == [1, 2, 1, 2]


def test_too_few_examples() -> None:
    with pytest.raises(ValueError, match="19 examples cannot fill 20 groups"):
        group_of(np.zeros(19), 20)


def write(
    writer, scores: np.ndarray = SCORES, final: float = 0.6, diverged: tuple[int, ...] = ()
) -> dict[str, pd.DataFrame]:
    """Write a dense, a pruned, an extended network, and return their tables."""
    epochs = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 0.5]) for seed in (0, 1)]
    changed = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, final]) for seed in (0, 1)]
    pruning = WeightPruning(kind="weights")
    place = "regularization/toy/noise-0"
    writer.run(f"{place}/dense/level-00", writer.recipe(), epochs, DENSE)
    sparse = writer.recipe(level=1, intervention=pruning)
    writer.run(f"{place}/pruned/level-01", sparse, changed, SPARSE, diverged=diverged)
    writer.run(f"{place}/extended/level-01", writer.recipe(level=1), changed, 2 * DENSE)
    writer.scores("toy", "0", scores)
    return regularization_tables(writer.results, writer.expected, groups=20)


def test_differences_of_each_subgroup(writer) -> None:
    found = write(writer)["subgroups"].query("method == 'pruned'")
    assert set(found["which"]) == {"optimal", "sparsest-better"}
    assert set(found["level"]) == {1}
    for seed in (0, 1):
        own = found[
            (found["seed"] == seed)
            & (found["which"] == "optimal")
            & (found["protocol"] == "published")
        ]
        assert own["group"].tolist() == [*range(1, 21)]
        assert set(own["examples"]) == {2}
        means = [sum(float(SCORES[seed, k, i]) for k in range(3)) / 3 for i in range(40)]
        order = sorted(range(40), key=lambda i: means[i])
        for row in own.itertuples():
            members = order[2 * row.group - 2 : 2 * row.group]
            dense, sparse = ([float(loss[seed, i]) for i in members] for loss in (DENSE, SPARSE))
            assert row.loss_dense == pytest.approx(sum(dense) / 2)
            assert row.loss_sparse == pytest.approx(sum(sparse) / 2)
            assert row.loss_difference == pytest.approx((sum(sparse) - sum(dense)) / 2, abs=1e-6)
            # The writer calls examples with a loss below 0.7 correct.
            right = [sum(loss < 0.7 for loss in losses) / 2 for losses in (dense, sparse)]
            assert [row.accuracy_dense, row.accuracy_sparse] == right
            assert row.accuracy_difference == right[1] - right[0]


def test_every_level_is_in_the_table_of_levels(writer) -> None:
    tables = write(writer)
    levels = tables["subgroup_levels"]
    assert levels.groupby(["method", "level"]).size().to_dict() == {
        ("dense", 0): 40,
        ("pruned", 1): 40,
        ("extended", 1): 40,
    }
    means = levels.groupby("method")[["loss_difference", "accuracy_difference"]].mean()
    assert means.loc["dense"].tolist() == [0, 0]
    assert means.loc["extended", "loss_difference"] == pytest.approx(DENSE.mean())
    assert means.loc["pruned", "loss_difference"] == pytest.approx(SPARSE.mean() - DENSE.mean())
    chosen = tables["subgroups"].query("protocol == 'published' and which == 'optimal'")
    pd.testing.assert_series_equal(
        chosen.groupby("method")["loss_difference"].mean(),
        means.loc[["extended", "pruned"], "loss_difference"],
    )


def test_where_dense_is_best_nothing_differs(writer) -> None:
    found = write(writer, final=0.4)["subgroups"]
    assert set(found["method"]) == {"pruned", "extended"}
    assert set(found["which"]) == {"optimal"}
    assert set(found["level"]) == {0}
    assert (found["loss_difference"] == 0).all()
    assert (found["loss_sparse"] > 0).all()


def test_a_diverged_replicate_has_no_losses(writer) -> None:
    levels = write(writer, diverged=(1,))["subgroup_levels"]
    lost = levels[["loss_sparse", "loss_difference", "accuracy_difference"]].isna().all(axis=1)
    assert set(levels.loc[lost, ["method", "seed"]].itertuples(index=False, name=None)) == {
        ("pruned", 1)
    }
    assert lost.sum() == 20


def test_as_many_groups_as_the_benchmark_says(writer) -> None:
    write(writer)
    tables = regularization_tables(writer.results, writer.expected, groups=4)
    for name in ("subgroups", "subgroup_levels"):
        assert set(tables[name]["group"]) == {1, 2, 3, 4}
        assert set(tables[name]["percentile"]) == {25, 50, 75, 100}
        assert set(tables[name]["examples"]) == {10}


def test_without_scores_there_are_no_subgroups(writer) -> None:
    write(writer)
    found = regularization_tables(writer.results, writer.expected, groups=None)["subgroups"]
    assert found.empty
    assert "loss_difference" in found


def test_scores_of_another_number_of_examples_are_refused(writer) -> None:
    with pytest.raises(ArtifactError, match="30 scores, but the run has losses of 40 examples"):
        write(writer, SCORES[:, :, :30])


def test_scores_of_other_seeds_are_refused(writer) -> None:
    write(writer)
    file = writer.results / "el2n/toy/noise-0/seeds-0-1.npz"
    file.unlink()
    writer.scores("toy", "0", np.zeros((3, 2, 40)))
    (writer.results / "el2n/toy/noise-0/seeds-0-2.npz").rename(file)
    with pytest.raises(ArtifactError, match=r"holds the seeds \[0, 1, 2\], not \[0, 1\]"):
        regularization_tables(writer.results, writer.expected, groups=20)
