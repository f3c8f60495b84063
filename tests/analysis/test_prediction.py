"""What accounts predict, on made-up runs of which the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gst.analysis.accounts import ACCOUNTS
from gst.analysis.prediction import (
    COLUMNS,
    POOLED,
    TOGETHER,
    evaluate,
    seed_correlations,
    seed_scores,
)
from gst.analysis.statistics import MINIMUM, student_interval


def made(
    seeds: int = 4, levels: int = 15, noises: tuple[float, ...] = (0.0,), rng_seed: int = 0
) -> pd.DataFrame:
    """Accuracy rises and falls with size; every other account is chance."""
    rng = np.random.default_rng(rng_seed)
    rows = [
        {
            "benchmark": "toy",
            "noise": noise,
            "seed": seed,
            "method": "pruned",
            "level": level,
            "size": 0.7**level,
            "test_accuracy": 0.9 - noise / 100 - 0.1 * (2 * level / (levels - 1) - 1) ** 2,
            **{name: rng.random() for name in ACCOUNTS if name != "size"},
        }
        for noise in noises
        for seed in range(seeds)
        for level in range(levels)
    ]
    return pd.DataFrame(rows)


def means(table: pd.DataFrame, statistic: str, benchmark: str = "toy") -> dict[str, float]:
    own = table[(table["statistic"] == statistic) & (table["benchmark"] == benchmark)]
    return dict(zip(own["account"], own["mean"], strict=True))


def test_a_bent_line_sees_what_a_rank_correlation_does_not() -> None:
    table = evaluate(made())
    assert tuple(table) == COLUMNS
    assert means(table, "correlation")["size"] == pytest.approx(0, abs=0.1)
    alone, unique = means(table, "alone"), means(table, "unique")
    assert alone["size"] > 0.95
    assert alone[TOGETHER] > 0.9
    assert unique["size"] > 0.8
    for name in set(ACCOUNTS) - {"size"}:
        assert alone[name] < 0.15
        assert abs(unique[name]) < 0.1
    assert set(table["n"]) == {4}
    assert set(table["runs"]) == {60}


def test_what_two_accounts_know_is_unique_to_neither() -> None:
    table = evaluate(made().assign(length=lambda runs: -np.log(runs["size"])))
    alone, unique = means(table, "alone"), means(table, "unique")
    assert alone["size"] == pytest.approx(alone["length"])
    assert alone["size"] > 0.95
    assert max(unique.values()) < 0.05


def test_conditions_that_differ_in_the_mean_alone_are_one_when_pooled() -> None:
    table = evaluate(made(noises=(0.0, 40.0)))
    assert means(table, "alone", POOLED)["size"] > 0.95
    assert table.loc[table["benchmark"] == POOLED, "noise"].isna().all()
    assert set(table.loc[table["benchmark"] == POOLED, "runs"]) == {120}
    single = evaluate(made())
    assert POOLED not in set(single["benchmark"])


def test_the_mean_of_a_condition_predicts_nothing_when_pooled() -> None:
    """An account that tells conditions apart, but not the runs of one, has no merit."""
    runs = made(noises=(0.0, 40.0))
    rng = np.random.default_rng(5)
    runs["loss"] = runs["noise"] + rng.random(len(runs))
    runs["test_accuracy"] = 1 - runs["noise"] / 100 + 0.01 * rng.random(len(runs))
    assert abs(means(evaluate(runs), "alone", POOLED)["loss"]) < 0.2


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(4)), scale=st.floats(0.1, 10), power=st.sampled_from([1, 3]))
def test_names_of_seeds_and_monotone_scales_do_not_matter(
    order: list[int], scale: float, power: int
) -> None:
    runs = made(levels=8)
    other = runs.assign(
        seed=runs["seed"].map(order.__getitem__), size=scale * runs["size"] ** power
    )
    a, b = evaluate(runs), evaluate(other.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(a, b, rtol=1e-6, atol=1e-9)


def test_r2_of_one_account_is_that_of_an_independent_fit() -> None:
    """With many runs the penalty vanishes, and what is left is least squares on a bent line."""
    runs = made(seeds=2, levels=400)
    rng = np.random.default_rng(1)
    runs["test_accuracy"] += 0.02 * rng.normal(size=len(runs))
    score = seed_scores(runs, ["size"])[0]
    fit, held = (runs[runs["seed"] == seed] for seed in (1, 0))
    ranks = (fit["size"].rank() - 0.5) / len(fit)
    knots = [np.maximum(ranks.to_numpy() - k, 0) for k in (0.25, 0.5, 0.75)]
    design = np.column_stack([np.ones(len(fit)), ranks, *knots])
    heights = np.linalg.lstsq(design, fit["test_accuracy"], rcond=None)[0]
    error = held["test_accuracy"].to_numpy() - design @ heights  # the same sizes in both seeds
    total = held["test_accuracy"] - fit["test_accuracy"].mean()
    assert score == pytest.approx(1 - (error**2).sum() / (total**2).sum(), abs=0.01)


def test_intervals_cover_the_truth() -> None:
    """A correlation that is zero on average, from four seeds at a time."""
    covered = []
    for trial in range(300):
        runs = made(seeds=4, levels=6, rng_seed=trial)
        found = student_interval(seed_correlations(runs, "length"))
        covered.append(found.low <= 0 <= found.high)
    assert 0.91 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_give_no_interval(seeds: int) -> None:
    table = evaluate(made(seeds=seeds))
    assert seeds < MINIMUM
    assert table[["low", "high"]].isna().all(axis=None)
    correlations = table[table["statistic"] == "correlation"]
    assert correlations["mean"].notna().all()
    predicted = table.loc[table["statistic"] != "correlation", "mean"]
    assert predicted.isna().all() if seeds == 1 else predicted.notna().all()


def test_unmeasured_and_constant_accounts_are_left_out() -> None:
    table = evaluate(made().assign(flatness=np.nan, length=10))
    assert set(table["account"]) == {"size", "stability", "loss", TOGETHER}
    runs = made()
    runs.loc[runs["level"] % 2 == 1, "flatness"] = np.nan
    assert set(evaluate(runs)["runs"]) == {4 * 8}


def test_diverged_runs_and_lost_seeds_do_not_count() -> None:
    runs = made()
    runs.loc[runs["seed"] == 3, "test_accuracy"] = np.nan
    runs.loc[0, "flatness"] = np.nan
    table = evaluate(runs)
    assert set(table["n"]) == {3}
    assert set(table["runs"]) == {44}


def test_too_few_runs_predict_nothing() -> None:
    few = evaluate(made(levels=3))
    assert few["mean"].isna().all()
    assert set(few["n"]) == {0}
    assert tuple(evaluate(made()[:0])) == COLUMNS
    constant = evaluate(made().assign(test_accuracy=0.5))
    assert constant["mean"].isna().all()
