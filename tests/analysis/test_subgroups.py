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
        group_of(np.zeros(19))


def write(writer, scores: np.ndarray = SCORES) -> pd.DataFrame:
    epochs = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 0.5]) for seed in (0, 1)]
    better = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 0.6]) for seed in (0, 1)]
    pruning = WeightPruning(kind="weights")
    place = "regularization/toy/noise-0"
    writer.run(f"{place}/dense/level-00", writer.recipe(), epochs, DENSE)
    writer.run(
        f"{place}/pruned/level-01", writer.recipe(level=1, intervention=pruning), better, SPARSE
    )
    writer.scores("toy", "0", scores)
    return regularization_tables(writer.results, writer.expected, el2n=True)["subgroups"]


def test_differences_of_each_subgroup(writer) -> None:
    found = write(writer)
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
            differences = [float(SPARSE[seed, i]) - float(DENSE[seed, i]) for i in members]
            assert row.loss_difference == pytest.approx(sum(differences) / 2, abs=1e-6)
            assert row.loss_dense == pytest.approx(sum(float(DENSE[seed, i]) for i in members) / 2)


def test_without_scores_there_are_no_subgroups(writer) -> None:
    write(writer)
    found = regularization_tables(writer.results, writer.expected, el2n=False)["subgroups"]
    assert found.empty
    assert "loss_difference" in found


def test_scores_of_another_number_of_examples_are_refused(writer) -> None:
    with pytest.raises(ArtifactError, match="30 scores of 40 examples"):
        write(writer, SCORES[:, :, :30])


def test_scores_of_other_seeds_are_refused(writer) -> None:
    write(writer)
    file = writer.results / "el2n/toy/noise-0/seeds-0-1.npz"
    file.unlink()
    writer.scores("toy", "0", np.zeros((3, 2, 40)))
    (writer.results / "el2n/toy/noise-0/seeds-0-2.npz").rename(file)
    with pytest.raises(ArtifactError, match=r"holds the seeds \[0, 1, 2\], not \[0, 1\]"):
        regularization_tables(writer.results, writer.expected, el2n=True)
