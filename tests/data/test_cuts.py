from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gst.artifacts import ArtifactError
from gst.data.cuts import cut, stratified_order
from gst.data.splits import Raw, Split
from gst.datasets import Digits, Subset


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=50)
def test_every_prefix_holds_each_class_by_its_share(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    order = stratified_order(labels, rng)
    assert sorted(order) == list(range(len(labels)))
    taken = np.cumsum(labels[order][:, None] == np.arange(len(counts)), axis=0)
    share = np.arange(1, len(labels) + 1)[:, None] * np.array(counts) / len(labels)
    # classes stand at (k + 1/2) / n, so that each is off by a half and the prefix by a half each
    assert (np.abs(taken - share) <= 0.5 + len(counts) / 2).all()


def test_examples_within_a_class_fall_at_random() -> None:
    labels = np.repeat([0, 1], [30, 10])
    first = [set(stratified_order(labels, np.random.default_rng(s))[:8]) for s in range(300)]
    times = np.bincount([k for chosen in first for k in chosen], minlength=40)
    # 6 of 30 and 2 of 10: each example one time in five
    assert times.sum() == 2400
    assert np.abs(times - 60).max() < 5 * np.sqrt(300 * 0.2 * 0.8)


def raw(n: int = 100, m: int = 40) -> Raw:
    def split(size: int, name: str) -> Split:
        ids = np.arange(size, dtype=np.uint8).reshape(-1, 1, 1, 1)
        return Split(ids, np.arange(size) % 4, name)

    return Raw(split(n, "a"), split(m, "b"), ("w", "x", "y", "z"), "tiny")


def subset(**options: int) -> Subset:
    return Subset(kind="subset", of=Digits(kind="digits"), **options)


def test_a_cut_keeps_whole_examples_and_the_other_split() -> None:
    found = cut(raw(), subset(train=20))
    ids = found.train.images.ravel()
    np.testing.assert_array_equal(ids % 4, found.train.labels)
    assert len(set(ids)) == 20
    np.testing.assert_array_equal(np.bincount(found.train.labels), [5, 5, 5, 5])
    np.testing.assert_array_equal(found.test.images, raw().test.images)
    assert found.source == (
        "tiny; 20 of 100 training and 40 of 40 test examples, each class by its share, seed 0"
    )


def test_cuts_of_a_seed_are_nested_and_of_another_differ() -> None:
    small, large, other = (
        set(cut(raw(), subset(train=n, seed=s)).train.images.ravel())
        for n, s in ((10, 0), (35, 0), (35, 1))
    )
    assert small < large
    assert large != other


def test_a_cut_of_the_test_split() -> None:
    assert len(cut(raw(), subset(train=20, test=8)).test) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 101}, "a: a subset asks for 101 train examples, there are 100"),
        ({"train": 10, "test": 41}, "b: a subset asks for 41 test examples, there are 40"),
    ],
)
def test_a_cut_larger_than_the_whole_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        cut(raw(), subset(**options))
