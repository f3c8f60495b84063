from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, hypergeom

from gst.artifacts import read_npz, write_json, write_npz
from gst.data.loaded import load_labels
from gst.data.noise import draw, write_draws
from gst.recipe import LabelNoise, NoiseKind

LABELS = np.arange(20_000) % 10
TEN = "abcdefghij"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
USUAL = {
    "truck": "automobile",
    "bird": "airplane",
    "deer": "horse",
    "cat": "dog",
    "dog": "cat",
}


def noise(percent: float, kind: NoiseKind = "uniform", **names: str) -> LabelNoise:
    return LabelNoise(percent=float(percent), kind=kind, map=names)


@given(
    n=st.integers(1, 300),
    classes=st.integers(2, 7),
    tenths=st.integers(0, 999),
    seed=st.integers(0, 10**6),
)
@settings(deadline=None)
def test_exactly_the_stated_number_gets_another_valid_label(
    n: int, classes: int, tenths: int, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, n)
    wrong, noisy = draw(labels, TEN[:classes], noise(tenths / 10), seed)
    count = (Decimal(tenths) / 1000 * n).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert noisy.sum() == count
    np.testing.assert_array_equal(wrong != labels, noisy)
    assert wrong.min() >= 0
    assert wrong.max() < classes
    assert wrong.dtype == np.int64


@pytest.mark.parametrize(("n", "percent", "count"), [(10, 25, 2), (30, 25, 8), (14, 25, 4)])
def test_a_half_goes_to_the_even_number(n: int, percent: float, count: int) -> None:
    assert draw(np.zeros(n, np.int64), "ab", noise(percent), 0)[1].sum() == count


def test_percent_is_the_decimal_that_was_written() -> None:
    # 0.15 / 100 * 3000 is 4.5, though in floats it is a little more or less
    assert draw(np.zeros(3000, np.int64), "ab", noise(0.15), 0)[1].sum() == 4


def test_wrong_labels_and_chosen_examples_are_uniform() -> None:
    wrong, noisy = draw(LABELS, TEN, noise(40), seed=5)
    steps = np.bincount((wrong - LABELS)[noisy] % 10, minlength=10)
    assert steps[0] == 0
    assert chisquare(steps[1:]).pvalue > 1e-3
    for true in range(10):
        to = np.delete(np.bincount(wrong[noisy & (true == LABELS)], minlength=10), true)
        assert chisquare(to).pvalue > 1e-4
    places = np.bincount(np.flatnonzero(noisy) // 1000, minlength=20)
    assert chisquare(places).pvalue > 1e-3
    assert chisquare(np.bincount(LABELS[noisy])).pvalue > 1e-3


def test_every_example_is_as_likely_over_seeds() -> None:
    labels = np.arange(20) % 4
    times = sum(draw(labels, "abcd", noise(30), seed)[1].astype(int) for seed in range(2000))
    # every draw takes 6 of 20, which leaves the counts 0.7 of a multinomial's variance
    assert chisquare(times).pvalue > 1e-3


def test_levels_of_one_seed_are_nested() -> None:
    low, low_noisy = draw(LABELS, TEN, noise(20), seed=3)
    high, high_noisy = draw(LABELS, TEN, noise(40), seed=3)
    assert (low_noisy <= high_noisy).all()
    np.testing.assert_array_equal(low[low_noisy], high[low_noisy])


def test_seeds_are_independent_and_repeatable() -> None:
    (a, a_noisy), (b, b_noisy) = (draw(LABELS, TEN, noise(40), seed) for seed in (0, 1))
    both = a_noisy & b_noisy
    low, high = hypergeom(20_000, 8000, 8000).interval(1 - 1e-4)
    assert low <= both.sum() <= high
    agree = (a == b)[both].mean()
    assert abs(agree - 1 / 9) < 4 * np.sqrt(1 / 9 * 8 / 9 / both.sum())
    np.testing.assert_array_equal(a, draw(LABELS, TEN, noise(40), seed=0)[0])


def test_no_noise_leaves_the_labels() -> None:
    wrong, noisy = draw(LABELS, TEN, noise(0), seed=0)
    np.testing.assert_array_equal(wrong, LABELS)
    assert not noisy.any()


def test_impossible_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 classes"):
        draw(np.zeros(5, np.int64), "a", noise(20), 0)
    with pytest.raises(ValueError, match="names x, y; the classes are a, b"):
        draw(LABELS[:2], "ab", noise(20, "asymmetric", a="x", y="b"), 0)


@pytest.mark.parametrize("percent", [15, 40])
def test_pair_flips_hit_the_examples_that_uniform_noise_hits(percent: float) -> None:
    wrong, noisy = draw(LABELS, TEN, noise(percent, "pair-flip"), 3)
    np.testing.assert_array_equal(noisy, draw(LABELS, TEN, noise(percent), 3)[1])
    np.testing.assert_array_equal(wrong[noisy], (LABELS[noisy] + 1) % 10)
    np.testing.assert_array_equal(wrong[~noisy], LABELS[~noisy])


@pytest.mark.parametrize("percent", [15, 40])
def test_asymmetric_noise_hits_a_share_of_the_mapped_classes(percent: float) -> None:
    """Half of the classes are mapped: of 10,000 examples the percentage is wrong, exactly."""
    wrong, noisy = draw(LABELS, CIFAR10, noise(percent, "asymmetric", **USUAL), 3)
    assert noisy.sum() == 100 * percent
    for label, name in enumerate(CIFAR10):
        own = label == LABELS
        target = CIFAR10.index(USUAL.get(name, name))
        assert set(wrong[own & noisy]) <= {target}
        assert (wrong[own & ~noisy] == label).all()
        low, high = hypergeom(10_000, 100 * percent, 2000).interval(1 - 1e-4)
        assert low <= noisy[own].sum() <= high if name in USUAL else not noisy[own].any()
    more = draw(LABELS, CIFAR10, noise(60, "asymmetric", **USUAL), 3)[1]
    assert (noisy <= more).all()


def test_a_cohort_is_its_seeds_drawn_alone(tmp_path) -> None:
    labels = LABELS[:100].astype(np.int64)
    images = np.zeros((100, 1, 2, 2), np.uint8)
    write_npz(tmp_path / "train.npz", {"images": images, "labels": labels}, {})
    write_json(tmp_path / "dataset.json", {"name": "tiny", "classes": list("abcdefghij")})
    path = tmp_path / "draws.npz"
    write_draws(path, tmp_path, noise(15), seeds=(4, 5, 6))
    found = load_labels(path)
    assert found.seeds == (4, 5, 6)
    for row, seed in enumerate(found.seeds):
        wrong, noisy = draw(labels, TEN, noise(15), seed)
        np.testing.assert_array_equal(found.labels[row], wrong)
        np.testing.assert_array_equal(found.noisy[row], noisy)
    arrays, meta = read_npz(path, {"original": ("i", 1)})
    np.testing.assert_array_equal(arrays["original"], labels)
    assert meta == {"dataset": "tiny", "percent": 15.0, "kind": "uniform", "map": {}}
