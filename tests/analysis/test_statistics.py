"""Intervals against scipy and closed forms; correlations; the matching rule."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from gst.analysis.statistics import (
    bootstrap_interval,
    false_alarm_rate,
    kendall,
    matching,
    partial,
    pearson,
    spearman,
    student_interval,
    summarise,
)

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False, width=32)


def pairs_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, -0.7 * x + 0.6 * rng.normal(size=n)


def test_the_interval_is_that_of_all_resamples() -> None:
    values = np.array([0.3, 1.1, 2.0, 7.5])
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=4)]
    exact = np.quantile(means, [0.025, 0.975])
    found = bootstrap_interval(values, samples=200_000)
    assert found.mean == pytest.approx(values.mean())
    assert found.n == 4
    np.testing.assert_allclose([found.low, found.high], exact, atol=0.1)


def test_students_interval_is_scipys() -> None:
    values = np.array([0.3, np.nan, 1.1, 2.0, 7.5])
    kept = values[np.isfinite(values)]
    theirs = stats.ttest_1samp(kept, 0).confidence_interval(0.9)
    found = student_interval(values, level=0.9)
    assert found == pytest.approx((kept.mean(), theirs.low, theirs.high, 4))
    few = student_interval([1.0, 2.0])
    assert (few.mean, few.n) == (1.5, 2)
    assert math.isnan(few.low)
    assert math.isnan(few.high)


def test_the_interval_agrees_with_scipy_and_with_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, size=60)
    found = bootstrap_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert found[1:3] == pytest.approx(tuple(theirs), abs=0.05)
    half = 1.96 * values.std() / math.sqrt(60)
    assert found[1:3] == pytest.approx((values.mean() - half, values.mean() + half), abs=0.06)


def test_three_replicates_give_their_range() -> None:
    assert bootstrap_interval([3.0, 1.0, 8.0]) == (4.0, 1.0, 8.0, 3)


@settings(deadline=None)
@given(arrays.arrays(np.float64, st.integers(3, 8), elements=NUMBERS), st.floats(0.5, 0.99))
def test_an_interval_holds_its_mean_and_stays_in_the_range(
    values: np.ndarray, level: float
) -> None:
    found = bootstrap_interval(values, level=level, samples=2000)
    slack = 1e-9 * (1 + abs(values).max())
    assert found.low <= found.mean <= found.high
    assert values.min() - slack <= found.low
    assert found.high <= values.max() + slack
    wider = bootstrap_interval(values, level=0.999, samples=2000)
    assert wider.low <= found.low + slack
    assert found.high <= wider.high + slack


def test_too_few_constant_and_missing_values() -> None:
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0, 3)
    assert bootstrap_interval([1.0, math.nan, 2.0, math.inf, 3.0]) == (2.0, 1.0, 3.0, 3)
    mean, low, high, n = bootstrap_interval([1.0, math.nan, 2.0])
    assert (mean, n) == (1.5, 2)
    assert math.isnan(low)
    assert math.isnan(high)
    mean, low, _, n = bootstrap_interval([math.nan])
    assert math.isnan(mean)
    assert math.isnan(low)
    assert n == 0


def test_correlations_and_their_intervals_agree_with_scipy() -> None:
    x, y = pairs_of(25, 1)
    x[3], y[7] = x[4], y[8]  # ties
    for ours, theirs in ((pearson, stats.pearsonr), (kendall, stats.kendalltau)):
        found = ours(x, y)
        assert (found.r, found.p, found.n) == (*map(pytest.approx, theirs(x, y)), 25)
        rng = np.random.default_rng(5)
        drawn = [theirs(x[i], y[i])[0] for i in rng.integers(0, 25, size=(1500, 25))]
        bounds = np.quantile(drawn, [0.025, 0.975])
        np.testing.assert_allclose([found.low, found.high], bounds, atol=0.03)


def test_kendall_by_counting_pairs() -> None:
    # 10 pairs: 7 concordant, 2 discordant, 1 tied in y only.
    x, y = [1, 2, 3, 4, 5], [1, 3, 2, 3, 5]
    points = itertools.combinations(zip(x, y, strict=True), 2)
    signs = [np.sign((a - c) * (b - d)) for (a, b), (c, d) in points]
    assert kendall(x, y).r == pytest.approx(sum(signs) / math.sqrt(10 * 9))


def test_a_perfect_line() -> None:
    found = pearson([1, 2, 3, 4, math.nan], [8, 6, 4, 2, 0])
    assert found.r == pytest.approx(-1)
    assert found.n == 4
    assert (found.low, found.high) == (pytest.approx(-1), pytest.approx(-1))
    assert kendall([1, 2, 3, 4], [8, 6, 4, 2])[2:4] == (pytest.approx(-1), pytest.approx(-1))


@pytest.mark.parametrize("correlation", [pearson, kendall])
@pytest.mark.parametrize(
    ("x", "y", "n"), [([1, 1, 1], [1, 2, 3], 3), ([1, 2], [3, 4], 2), ([1, math.nan], [1, 2], 1)]
)
def test_no_correlation(correlation, x: list[float], y: list[float], n: int) -> None:
    found = correlation(x, y)
    assert all(map(math.isnan, found[:4]))
    assert found.n == n


def grouped(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that go down together within groups, whose means go up together."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    x, y = pairs_of(n, seed)
    return x + 2 * group, y + 3 * group, np.array(["S", "R", "L"])[group]


def residuals(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """What a least-squares regression on an intercept and dummies leaves."""
    names = np.unique(group)
    design = np.stack([np.ones(len(group)), *(group == name for name in names[1:])], axis=1)
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def test_partial_correlation_is_that_of_regression_residuals() -> None:
    x, y, group = grouped(30, 2)
    found = partial(x, y, group)
    expected = stats.pearsonr(residuals(x, group), residuals(y, group)).statistic
    assert found.r == pytest.approx(expected)
    assert found.r < 0 < pearson(x, y).r
    # The p-value is that of the slope of x in y = a_group + b x, by Student's t.
    design = np.stack([x, *(group == name for name in "SRL")], axis=1)
    coefficients, (rest,), *_ = np.linalg.lstsq(design, y, rcond=None)
    freedom = 30 - 4
    error = math.sqrt(rest / freedom * np.linalg.inv(design.T @ design)[0, 0])
    t = coefficients[0] / error
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), freedom))
    assert found.n == 30


def test_partial_correlation_of_two_groups_in_closed_form() -> None:
    x, y, group = grouped(20, 4)
    kept = group != "R"
    x, y, z = x[kept], y[kept], (group[kept] == "L").astype(float)
    xy, xz, yz = (np.corrcoef(a, b)[0, 1] for a, b in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial(x, y, z).r == pytest.approx(expected)


def test_the_interval_of_a_partial_correlation_resamples_pairs_and_means() -> None:
    x, y, group = grouped(24, 7)
    found = partial(x, y, group)
    rng = np.random.default_rng(5)
    drawn = [
        stats.pearsonr(residuals(x[i], group[i]), residuals(y[i], group[i])).statistic
        for i in rng.integers(0, 24, size=(1500, 24))
    ]
    np.testing.assert_allclose(
        [found.low, found.high], np.quantile(drawn, [0.025, 0.975]), atol=0.04
    )


def test_partial_correlation_with_one_group_is_pearsons() -> None:
    x, y = pairs_of(15, 3)
    assert partial(x, y, ["S"] * 15) == pytest.approx(pearson(x, y))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_partial_correlation_is_blind_to_the_means_of_groups(
    seed: int, shifts: list[float]
) -> None:
    x, y, group = grouped(18, seed)
    moved = x + np.array(shifts)[np.unique(group, return_inverse=True)[1]]
    assert partial(moved, y, group, samples=50).r == pytest.approx(
        partial(x, y, group, samples=50).r
    )


def test_no_partial_correlation() -> None:
    nan = math.nan
    for x, y, group in (
        ([1, 1, 2, 2, 3], [1, 2, 3, 4, 5], "aabbc"),  # constant within groups
        ([1, 2, 3, 4], [1, 3, 2, 4], "aabc"),  # no degree of freedom
        ([1, 2, nan, 3], [1, 2, 3, nan], "aabb"),
    ):
        found = partial(x, y, list(group))
        assert all(map(math.isnan, found[:4]))
        assert found.n == np.isfinite(np.array(x) + np.array(y)).sum()
    line = partial([1, 2, 3, 11, 12, 13], [3, 2, 1, 8, 7, 6], list("aaabbb"))
    assert (line.r, line.p) == (pytest.approx(-1), pytest.approx(0))
    with pytest.raises(ValueError, match="equal lengths"):
        partial([1, 2, 3], [1, 2, 3], ["a", "b"])


@pytest.mark.parametrize("function", [pearson, kendall, matching])
def test_pairs_need_equal_lengths(function) -> None:
    with pytest.raises(ValueError, match="equal lengths"):
        function([1, 2, 3], [1, 2])


def test_the_matching_rule() -> None:
    assert matching([1, 2, 3], [0, 1, 3]) == (
        pytest.approx(2 / 3),
        pytest.approx(math.sqrt(1 / 3)),
        True,
        3,
    )
    assert matching([1, 2, 3], [0, 3, 2]).differs is False
    assert matching([1, 2, 3], [2, 3, 4]).differs is True  # no spread at all
    assert matching([1, 2, 3], [1, 2, 3]).differs is False
    assert matching([1, 2, math.nan], [0, 0, 0]).differs is None
    assert matching([1, 2, 4], [0, 3, 2])[:2] == (
        pytest.approx(-matching([0, 3, 2], [1, 2, 4]).difference),
        pytest.approx(matching([0, 3, 2], [1, 2, 4]).sd),
    )


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_false_alarm_rate_is_how_often_the_rule_is_wrong(n: int) -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, n))
    wrong = np.mean(np.abs(draws.mean(1)) >= draws.std(1, ddof=1))
    assert false_alarm_rate(n) == pytest.approx(wrong, abs=0.01)


def test_false_alarm_rate_at_three_replicates() -> None:
    # Student's t with 2 degrees of freedom: P(|t| >= sqrt(3)) = 1 - sqrt(3 / 5).
    assert false_alarm_rate(3) == pytest.approx(1 - math.sqrt(3 / 5))
    with pytest.raises(ValueError, match="at least 2"):
        false_alarm_rate(1)


def test_summarise_counts_what_it_leaves_out() -> None:
    table = pd.DataFrame(
        {"a": ["x"] * 3 + ["y"] * 4, "b": 1, "v": [1.0, 2.0, 3.0, 5.0, math.nan, 5.0, 5.0]}
    )
    found = summarise(table, ["a", "b"], "v")
    assert found.columns.tolist() == ["a", "b", "mean", "low", "high", "n", "missing"]
    assert found.iloc[0].tolist() == ["x", 1, 2.0, 1.0, 3.0, 3, 0]
    assert found.iloc[1].tolist() == ["y", 1, 5.0, 5.0, 5.0, 3, 1]


def test_summarise_agrees_with_single_intervals_and_keeps_the_order() -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "a": rng.integers(0, 60, 500),
            "b": rng.choice(["x", "y", None], 500),
            "v": rng.random(500),
        }
    )
    table.loc[rng.random(500) < 0.1, "v"] = math.nan
    found = summarise(table, ["a", "b"], "v")
    cells = table.groupby(["a", "b"], sort=False, dropna=False)["v"]
    assert len(found) == len(cells)
    for row, (key, values) in zip(found.itertuples(index=False), cells, strict=True):
        assert row.a == key[0]
        assert row.b == key[1] or (pd.isna(row.b) and pd.isna(key[1]))
        expected = bootstrap_interval(values)
        assert (row.mean, row.low, row.high, row.n) == pytest.approx(expected, nan_ok=True)
        assert row.missing == values.isna().sum()


def test_summarise_of_nothing_is_empty() -> None:
    table = pd.DataFrame({"a": [], "v": []})
    found = summarise(table, ["a"], "v")
    assert found.empty
    assert found.columns.tolist() == ["a", "mean", "low", "high", "n", "missing"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30))
def test_spearman_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(spearman(x, y))
    else:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_spearman_needs_numbers() -> None:
    assert np.isnan(spearman([1, 2, np.nan], [1, 2, 3]))
    assert np.isnan(spearman([], []))
