from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gst.analysis.claims import PUBLISHED, Claim, chance_summary, evaluate, load_claims
from gst.analysis.decisions import apply
from gst.analysis.evidence import Evidence
from gst.analysis.left_out import COLUMNS as LEFT_OUT
from gst.analysis.rules import Correlate, CorrelationTrend, Count, Rows
from gst.analysis.runs import MEASURES
from gst.analysis.selection import COLUMNS as SELECTED
from gst.analysis.subgroups import COLUMNS as SUBGROUPS
from gst.analysis.subgroups import LEVELS

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "claims.yaml"
INDEX = ROOT / "tests" / "claims_index.csv"

PRUNED = {"table": "runs", "quantity": "test_error", "where": {"method": "pruned"}}
DENSE = {"table": "runs", "quantity": "test_error", "where": {"method": "dense"}}


def claim(rule, *benchmarks, **changes):
    item = {
        "id": "regularization-test",
        "paper": "regularization",
        "place": "Section 1",
        "statement": "A test.",
        "benchmarks": benchmarks or ("mnist-lenet",),
        "rule": rule,
    }
    return Claim.model_validate({**item, **changes}, strict=False)


def runs(quantity="test_error", /, **methods):
    """Rows of one quantity: a list of values, one a seed, for each method."""
    rows = [
        {"benchmark": "mnist-lenet", "noise": 0.0, "method": method, "seed": seed, quantity: value}
        for method, values in methods.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(study="regularization", level=0, diverged=False)


def decide(rule, *benchmarks, scale="published", protocol="published", **tables):
    """Evaluate one rule on tables of the named published benchmarks."""
    scales = dict.fromkeys(benchmarks or ("mnist-lenet",), scale)
    found = evaluate([claim(rule, *benchmarks)], tables, scales, {}, protocol)
    return found.iloc[0]


def compare(expect=None, **more):
    return {"kind": "compare", "a": PRUNED, "b": DENSE, "expect": expect, **more}


DENSE_ERRORS = [0.10, 0.20, 0.30, 0.20]
CLEARLY_LOWER = [0.08, 0.17, 0.29, 0.18]  # by 2, 3, 1, 2 points
CLEARLY_HIGHER = [0.12, 0.23, 0.31, 0.22]
MIXED = [0.12, 0.17, 0.31, 0.19]  # by +2, -3, +1, -1 points


class TestCompare:
    def test_measures_the_paired_difference_in_points(self):
        row = decide(compare("lower"), runs=runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS))
        assert row["measured"] == pytest.approx(-2)
        assert -3 <= row["low"] < -2 < row["high"] <= -1
        assert row["replicates"] == 4
        assert row["source"] == "runs"

    def test_an_average_waits_for_every_number_that_it_is_over(self):
        tables = [
            runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS).assign(noise=noise)
            for noise in (5.0, 10.0)
        ]
        for listed, verdict in ([5, 10], "reproduced"), ([5, 10, 15], "not run"):
            a, b = (
                {**rows, "where": {**rows["where"], "noise": listed}} for rows in (PRUNED, DENSE)
            )
            row = decide(compare("lower", a=a, b=b), runs=pd.concat(tables))
            assert row["verdict"] == verdict
        assert row["note"] == "no run has noise 15.0"

    @pytest.mark.parametrize(
        ("pruned", "expect", "verdict", "rule_verdict"),
        [
            (CLEARLY_LOWER, "lower", "reproduced", "holds"),
            (CLEARLY_LOWER, "higher", "contradicted", "fails"),
            (CLEARLY_HIGHER, "higher", "reproduced", "holds"),
            (CLEARLY_HIGHER, "lower", "contradicted", "fails"),
            (MIXED, "lower", "inconclusive", "fails"),
            (MIXED, "higher", "inconclusive", "fails"),
            (DENSE_ERRORS, "lower", "inconclusive", "fails"),
        ],
    )
    def test_direction(self, pruned, expect, verdict, rule_verdict):
        row = decide(compare(expect), runs=runs(pruned=pruned, dense=DENSE_ERRORS))
        assert (row["verdict"], row["rule_verdict"]) == (verdict, rule_verdict)

    @pytest.mark.parametrize(
        ("pruned", "expect", "margin", "verdict", "rule_verdict"),
        [
            (DENSE_ERRORS, "match", 0.5, "reproduced", "holds"),
            (MIXED, "match", 0.5, "inconclusive", "holds"),
            (MIXED, "match", 4, "reproduced", "holds"),
            (CLEARLY_LOWER, "match", 0.5, "contradicted", "fails"),
            (CLEARLY_LOWER, "not higher", 0.5, "reproduced", "holds"),
            (CLEARLY_HIGHER, "not higher", 0.5, "contradicted", "fails"),
            (CLEARLY_HIGHER, "not lower", 0.5, "reproduced", "holds"),
            (CLEARLY_LOWER, "not lower", 0.5, "contradicted", "fails"),
            (CLEARLY_LOWER, "lower", 2.5, "inconclusive", "holds"),
            (CLEARLY_LOWER, "lower", 4, "contradicted", "holds"),
        ],
    )
    def test_margin(self, pruned, expect, margin, verdict, rule_verdict):
        rule = compare(expect, margin=margin)
        row = decide(rule, runs=runs(pruned=pruned, dense=DENSE_ERRORS))
        assert (row["verdict"], row["rule_verdict"]) == (verdict, rule_verdict)

    @pytest.mark.parametrize(
        ("within", "verdict"),
        [
            ((-2, -2), "reproduced"),
            ((-9, -2.5), "reproduced"),
            ((-9, -4), "contradicted"),
            ((0, 2), "contradicted"),
        ],
    )
    def test_published_number(self, within, verdict):
        table = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS)
        assert decide(compare(within=within), runs=table)["verdict"] == verdict
        assert decide(compare("lower", within=within), runs=table)["verdict"] == verdict

    def test_direction_goes_before_the_number(self):
        rule = compare("lower", within=(-9, 9))
        table = runs(pruned=MIXED, dense=DENSE_ERRORS)
        assert decide(rule, runs=table)["verdict"] == "inconclusive"

    def test_against_a_number(self):
        rule = {"kind": "compare", "a": {**PRUNED, "quantity": "train_accuracy"}, "b": 100}
        table = runs("train_accuracy", pruned=[1, 0.999, 0.998])
        row = decide({**rule, "expect": "match", "margin": 0.5}, runs=table)
        assert row["measured"] == pytest.approx(-0.1)
        assert row["verdict"] == "reproduced"

    def test_losses_are_not_points(self):
        rule = {
            "kind": "compare",
            "a": {"table": "runs", "quantity": "loss_gap", "where": {"method": "pruned"}},
            "expect": "higher",
        }
        table = runs("loss_noisy", pruned=[2.0, 2.5, 3.0]).assign(loss_original=0.5)
        assert decide(rule, runs=table)["measured"] == pytest.approx(2.0)

    def test_pairs_by_seed_whatever_the_order_of_rows(self):
        table = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS)
        shuffled = table.sample(frac=1, random_state=3)
        pd.testing.assert_series_equal(
            decide(compare("lower"), runs=table), decide(compare("lower"), runs=shuffled)
        )

    def test_averages_conditions_within_a_seed(self):
        quiet = runs(pruned=[0.1] * 3, dense=[0.2] * 3)
        noisy = runs(pruned=[0.3] * 3, dense=[0.6] * 3).assign(noise=40.0)
        row = decide(compare("lower"), runs=pd.concat([quiet, noisy]))
        assert row["measured"] == pytest.approx(-20)
        assert row["replicates"] == 3


class TestReplicates:
    def test_two_are_too_few(self):
        row = decide(compare("lower"), runs=runs(pruned=[0.1, 0.1], dense=[0.9, 0.9]))
        assert row["verdict"] == "inconclusive"
        assert row["rule_verdict"] == ""
        assert math.isnan(row["chance"])

    def test_diverged_one_is_left_out_of_both_sides(self):
        table = runs(pruned=[*CLEARLY_LOWER, 0.9], dense=[*DENSE_ERRORS, 0.2])
        table.loc[(table["method"] == "pruned") & (table["seed"] == 4), "diverged"] = True
        row = decide(compare("lower"), runs=table)
        assert row["measured"] == pytest.approx(-2)
        assert row["replicates"] == 4
        assert "1 of 5" in row["note"]

    def test_missing_value_leaves_too_few(self):
        table = runs(pruned=[0.1, 0.1, np.nan], dense=[0.9, 0.9, 0.9])
        assert decide(compare("lower"), runs=table)["verdict"] == "inconclusive"

    def test_seed_that_lacks_a_condition_is_left_out(self):
        quiet = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS)
        noisy = runs(pruned=CLEARLY_LOWER[:3], dense=DENSE_ERRORS[:3]).assign(noise=40.0)
        assert decide(compare("lower"), runs=pd.concat([quiet, noisy]))["replicates"] == 3

    def test_all_diverged(self):
        table = runs(pruned=[np.nan] * 3, dense=[0.9] * 3)
        row = decide(compare("lower"), runs=table)
        assert (row["verdict"], row["replicates"]) == ("inconclusive", 0)


class TestFilters:
    def table(self):
        parts = [
            runs(pruned=[0.1 * level] * 3).assign(level=level, weights_remaining=0.5**level)
            for level in (1, 2, 3)
        ]
        return pd.concat(parts, ignore_index=True)

    @pytest.mark.parametrize(
        ("where", "measured"),
        [
            ({"level": 2}, 20),
            ({"level": (1, 2)}, 15),
            ({"level": "last"}, 30),
            ({"weights_remaining": {"above": 0.2}}, 15),
            ({"weights_remaining": {"above": 0.2, "below": 0.4}}, 20),
            ({"method": "pruned", "level": {"below": 3}}, 15),
        ],
    )
    def test_select_rows(self, where, measured):
        a = {**PRUNED, "where": where}
        row = decide({"kind": "compare", "a": a, "expect": "higher"}, runs=self.table())
        assert row["measured"] == pytest.approx(measured)

    def test_that_select_nothing(self):
        a = {**PRUNED, "where": {"level": {"above": 7}}}
        row = decide({"kind": "compare", "a": a, "expect": "higher"}, runs=self.table())
        assert row["verdict"] == "not run"
        assert "level above 7" in row["note"]

    def test_unknown_column_is_a_fault(self):
        a = {**PRUNED, "where": {"levle": 1}}
        with pytest.raises(ValueError, match="levle"):
            decide({"kind": "compare", "a": a, "expect": "higher"}, runs=self.table())

    def test_protocol(self):
        table = runs(pruned=[0.3] * 3, dense=[0.2] * 3)
        both = pd.concat([table.assign(protocol="clean"), table.assign(protocol="published")])
        both.loc[(both["protocol"] == "published") & (both["method"] == "pruned"), "test_error"] = 0
        a, b = ({**side, "table": "selected"} for side in (PRUNED, DENSE))
        rule = {"kind": "compare", "a": a, "b": b, "expect": "lower"}
        assert decide(rule, selected=both)["verdict"] == "reproduced"
        assert decide(rule, selected=both, protocol="clean")["verdict"] == "contradicted"

    def test_split_of_flatness_follows_the_protocol(self):
        table = runs("tic", pruned=[1.0, 1.0, 1.0]).drop(columns=["noise", "diverged"])
        both = pd.concat([table.assign(split="test"), table.assign(split="train", tic=5.0)])
        a = {"table": "flatness", "quantity": "tic"}
        rule = {"kind": "compare", "a": a, "expect": "higher"}
        assert decide(rule, flatness=both)["measured"] == pytest.approx(1)
        assert decide(rule, flatness=both, protocol="clean")["measured"] == pytest.approx(5)

    def test_rows_of_the_other_study_do_not_count(self):
        table = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS).assign(study="stability")
        assert decide(compare("lower"), runs=table)["verdict"] == "not run"


def subgroups(differences, benchmark="mnist-lenet", noise=0.0):
    """One row a seed and group; differences has shape [seeds, groups]."""
    return pd.DataFrame(
        {
            "study": "regularization",
            "benchmark": benchmark,
            "noise": noise,
            "seed": seed,
            "group": group,
            "percentile": 100 * group / len(values),
            "loss_difference": value,
        }
        for seed, values in enumerate(differences)
        for group, value in enumerate(values, start=1)
    )


CHANGE = {"table": "subgroups", "quantity": "loss_difference"}
TOP = {**CHANGE, "where": {"percentile": {"above": 80}}}
REST = {**CHANGE, "where": {"percentile": {"below": 81}}}


RATIO = {"kind": "ratio", "a": TOP, "b": REST, "expect": "higher"}
TREND = {"kind": "trend", "a": DENSE, "b": PRUNED, "over": "noise", "expect": "higher"}
ACCURACY = {"table": "runs", "quantity": "best_test_accuracy", "where": {"method": ("s", "l")}}
CORRELATE = {"kind": "correlate", "a": ACCURACY, "over": "stability", "expect": "lower"}
COUNT = {"kind": "count", "each": ("benchmark",), "rule": compare("lower")}
NAMES = ("mnist-lenet", "cifar10-resnet20", "cifar10-vgg16", "cifar100-resnet32")


class TestRatio:
    def test_is_of_mean_magnitudes(self):
        # Top fifth: group 5; the others' magnitudes average 1, whatever their signs.
        table = subgroups([[1, -1, 2, 0, -4], [1, 1, -1, 1, 5], [-1, -1, -1, 1, 6]])
        row = decide(RATIO, subgroups=table)
        assert row["measured"] == pytest.approx(5)
        assert (row["verdict"], row["rule_verdict"]) == ("reproduced", "holds")

    def test_below_one(self):
        table = subgroups([[1, 1, 1, 1, 0.5], [1, 1, 1, 1, 0.4], [1, 1, 1, 1, 0.6]])
        assert decide(RATIO, subgroups=table)["verdict"] == "contradicted"

    def test_of_nothing_changed_is_no_result(self):
        row = decide(RATIO, subgroups=subgroups(np.zeros((3, 5))))
        assert (row["verdict"], row["replicates"]) == ("inconclusive", 0)


class TestTrend:
    def table(self, slopes):
        parts = [
            runs(dense=[0.1 + slope * noise for slope in slopes], pruned=[0.1] * len(slopes))
            for noise in (0.0, 20.0, 40.0)
        ]
        return pd.concat(
            [part.assign(noise=20.0 * index) for index, part in enumerate(parts)],
            ignore_index=True,
        )

    def test_is_the_mean_slope(self):
        row = decide(TREND, runs=self.table([0.001, 0.002, 0.003]))
        assert row["measured"] == pytest.approx(0.2)  # points for each percent of noise
        assert (row["verdict"], row["replicates"]) == ("reproduced", 3)

    def test_that_falls(self):
        row = decide(TREND, runs=self.table([-0.001, -0.002, -0.0015]))
        assert row["verdict"] == "contradicted"

    def test_agrees_with_an_independent_regression(self):
        generator = np.random.default_rng(0)
        table = self.table([0.001] * 4)
        table["test_error"] += generator.normal(0, 0.01, len(table))
        row = decide(TREND, runs=table)
        wide = table.pivot(index=["noise", "seed"], columns="method", values="test_error")
        gain = 100 * (wide["dense"] - wide["pruned"]).unstack()
        slopes = [stats.linregress(gain.index, gain[seed]).slope for seed in gain]
        assert row["measured"] == pytest.approx(np.mean(slopes))

    def test_of_one_value_is_not_run(self):
        table = runs(dense=[0.2] * 3, pruned=[0.1] * 3)
        row = decide(TREND, runs=table)
        assert row["verdict"] == "not run"
        assert "two values of noise" in row["note"]


class TestCorrelate:
    def table(self, stability, accuracy):
        table = runs("best_test_accuracy", s=accuracy[::2], l=accuracy[1::2], none=[0, 0, 0])
        return table.assign(stability=[*stability[::2], *stability[1::2], 1, 1, 1])

    def test_perfect(self):
        x = np.linspace(0.5, 1, 8)
        row = decide(CORRELATE, runs=self.table(x, 1 - x))
        assert row["measured"] == pytest.approx(-1)
        assert (row["verdict"], row["rule_verdict"], row["replicates"]) == (
            "reproduced",
            "holds",
            8,
        )
        assert row["p_value"] < 1e-6
        assert row["chance"] == 0.025

    def test_wrong_sign(self):
        x = np.linspace(0.5, 1, 8)
        row = decide(CORRELATE, runs=self.table(x, x))
        assert (row["verdict"], row["rule_verdict"]) == ("contradicted", "fails")

    @pytest.mark.parametrize("statistic", ["pearson", "kendall"])
    def test_none(self, statistic):
        x = np.array([1, 2, 3, 4, 1, 2, 3, 4]) / 4
        y = np.array([1, 2, 2, 1, 2, 1, 1, 2]) / 4
        row = decide({**CORRELATE, "statistic": statistic}, runs=self.table(x, y))
        assert row["measured"] == pytest.approx(0, abs=1e-12)
        assert (row["verdict"], row["rule_verdict"]) == ("inconclusive", "fails")

    def test_coefficient_is_held_against_the_published_one(self):
        generator = np.random.default_rng(1)
        x = generator.uniform(size=200)
        table = self.table(x, -x + generator.normal(0, 0.3, 200))
        r = decide(CORRELATE, runs=table)["measured"]
        same, other = ({**CORRELATE, "within": (v, v)} for v in (r - 0.02, r + 0.5))
        assert decide(same, runs=table)["verdict"] == "reproduced"
        assert decide(other, runs=table)["verdict"] == "contradicted"

    def test_two_seeds_are_too_few(self):
        x = np.linspace(0.5, 1, 4)
        row = decide(CORRELATE, runs=self.table(x, 1 - x))
        assert (row["verdict"], row["rule_verdict"]) == ("inconclusive", "")

    def test_diverged_runs_are_left_out(self):
        x = np.linspace(0.5, 1, 8)
        table = self.table(x, 1 - x)
        table.loc[0, ["diverged", "best_test_accuracy"]] = [True, 99.0]
        row = decide(CORRELATE, runs=table)
        assert row["replicates"] == 7
        assert "1 of 8" in row["note"]


METHODS = ("s", "r", "l")


def two(first, second, quantity="best_test_accuracy", methods=METHODS):
    """Rows of two benchmarks; first and second hold values of shape [seeds, methods]."""
    tables = [
        runs(quantity, **dict(zip(methods, np.transpose(values), strict=True))).assign(benchmark=n)
        for n, values in zip(NAMES, (first, second), strict=False)
    ]
    return pd.concat(tables, ignore_index=True)


def named(benchmark, quantity="best_test_accuracy", **where):
    where = {"method": METHODS, **where, "benchmark": benchmark}
    return {"table": "runs", "quantity": quantity, "where": where}


SPREAD = {
    "kind": "spread",
    "a": named(NAMES[1]),
    "b": named(NAMES[0]),
    "over": "method",
    "expect": "higher",
}
DIFFERENCE = {**SPREAD, "kind": "correlation-difference", "over": "stability", "expect": "lower"}
CHANGE_OF_R = {
    "kind": "correlation-trend",
    "a": {"table": "runs", "quantity": "best_test_accuracy"},
    "over": "stability",
    "by": "iterative_rate",
    "expect": "higher",
}


ACROSS = {
    "kind": "compare",
    "a": named(NAMES[1], "test_error", method="s"),
    "b": named(NAMES[0], "test_error", method="s"),
    "expect": "lower",
}


class TestSpread:
    NARROW = ((0.50, 0.51, 0.52), (0.51, 0.53, 0.52), (0.50, 0.50, 0.51))  # 2, 2, 1 points
    WIDE = ((0.50, 0.55, 0.60), (0.55, 0.47, 0.50), (0.50, 0.50, 0.44))  # 10, 8, 6 points

    def test_is_the_difference_of_ranges_in_each_seed(self):
        row = decide(SPREAD, *NAMES[:2], runs=two(self.NARROW, self.WIDE))
        assert row["measured"] == pytest.approx((8 + 6 + 5) / 3)
        assert (row["low"], row["high"]) == pytest.approx((5, 8))
        assert (row["verdict"], row["rule_verdict"]) == ("reproduced", "holds")
        assert row["replicates"] == 3

    @pytest.mark.parametrize(
        ("first", "second", "verdict", "rule_verdict"),
        [
            (WIDE, NARROW, "contradicted", "fails"),
            (WIDE, WIDE, "inconclusive", "fails"),
            (WIDE[:2], NARROW[:2], "inconclusive", ""),
        ],
    )
    def test_decides(self, first, second, verdict, rule_verdict):
        row = decide(SPREAD, *NAMES[:2], runs=two(first, second))
        assert (row["verdict"], row["rule_verdict"]) == (verdict, rule_verdict)

    def test_seed_without_one_of_the_values_is_left_out(self):
        table = two(self.NARROW, self.WIDE)
        table.loc[3, "diverged"] = True
        row = decide(SPREAD, *NAMES[:2], runs=table)
        assert (row["verdict"], row["replicates"]) == ("inconclusive", 2)

    def test_ranges_over_other_values_are_not_compared(self):
        table = two(self.NARROW, self.WIDE)
        table = table[(table["benchmark"] == NAMES[0]) | (table["method"] != "l")]
        row = decide(SPREAD, *NAMES[:2], runs=table)
        assert row["verdict"] == "not run"
        assert "same values of method" in row["note"]


def correlated(r, seeds, generator, methods=3):
    """Two columns, [seeds, methods] each, whose sample correlation is r."""
    x, noise = generator.normal(size=(2, seeds * methods))
    x, noise = x - x.mean(), noise - noise.mean()
    x /= np.linalg.norm(x)
    noise -= (noise @ x) * x
    noise /= np.linalg.norm(noise)
    y = r * x + math.sqrt(1 - r**2) * noise
    return 0.9 + 0.1 * x.reshape(seeds, methods), 0.8 + 0.1 * y.reshape(seeds, methods)


def with_stability(pairs):
    """Rows of two benchmarks from their columns (stability, accuracy)."""
    table = two(*(accuracy for _, accuracy in pairs))
    stability = two(*(stability for stability, _ in pairs), quantity="stability")
    return table.assign(stability=stability["stability"])


class TestCorrelationDifference:
    def table(self, first, second, seeds=8):
        generator = np.random.default_rng(3)
        return with_stability([correlated(r, seeds, generator) for r in (first, second)])

    def decide(self, table):
        return decide(DIFFERENCE, *NAMES[:2], runs=table)

    def test_closed_form(self):
        row = self.decide(self.table(-0.2, -0.9))
        assert row["measured"] == pytest.approx(-0.7)
        z = (math.atanh(-0.9) - math.atanh(-0.2)) / math.sqrt(2 / (24 - 3))
        assert row["p_value"] == pytest.approx(2 * stats.norm.cdf(z))
        assert (row["replicates"], row["chance"]) == (8, 0.025)

    @pytest.mark.parametrize(
        ("first", "second", "verdict", "rule_verdict"),
        [
            (-0.1, -0.95, "reproduced", "holds"),
            (-0.95, -0.1, "contradicted", "fails"),
            (-0.6, -0.7, "inconclusive", "fails"),
        ],
    )
    def test_decides(self, first, second, verdict, rule_verdict):
        row = self.decide(self.table(first, second))
        assert (row["verdict"], row["rule_verdict"]) == (verdict, rule_verdict)

    def test_interval_resamples_seeds_together(self):
        pair = correlated(-0.5, 6, np.random.default_rng(0))
        row = self.decide(with_stability([pair, pair]))
        assert (row["measured"], row["low"], row["high"]) == pytest.approx((0, 0, 0), abs=1e-12)
        assert row["verdict"] == "inconclusive"

    def test_interval_agrees_with_an_independent_bootstrap(self):
        table = self.table(-0.3, -0.8, seeds=6)
        columns = ["stability", "best_test_accuracy"]
        parts = [
            np.stack([rows[columns].to_numpy() for _, rows in own.groupby("seed")])
            for _, own in sorted(table.groupby("benchmark"), key=lambda item: item[0] == NAMES[1])
        ]
        generator = np.random.default_rng(5)
        draws = []
        for _ in range(2000):
            seeds = generator.integers(6, size=6)
            b, a = (np.corrcoef(part[seeds].reshape(-1, 2), rowvar=False)[0, 1] for part in parts)
            draws.append(a - b)
        row = self.decide(table)
        assert (row["low"], row["high"]) == pytest.approx(
            np.quantile(draws, [0.025, 0.975]), abs=0.05
        )

    def test_two_shared_seeds_are_too_few(self):
        table = self.table(-0.1, -0.95, seeds=4)
        other = table["benchmark"] == NAMES[1]
        table.loc[other, "seed"] += 2
        row = self.decide(table)
        assert (row["verdict"], row["rule_verdict"], row["replicates"]) == ("inconclusive", "", 2)
        assert "4 seeds left out" in row["note"]

    def test_without_a_shared_seed_is_not_run(self):
        table = self.table(-0.1, -0.95, seeds=4)
        table.loc[table["benchmark"] == NAMES[1], "seed"] += 4
        row = self.decide(table)
        assert row["verdict"] == "not run"
        assert row["note"] == "no seed has all results that are compared"

    def test_diverged_side_decides_nothing(self):
        table = self.table(-0.1, -0.95)
        table.loc[table["benchmark"] == NAMES[1], "diverged"] = True
        row = self.decide(table)
        assert (row["verdict"], row["replicates"]) == ("inconclusive", 0)

    def test_constant_side_decides_nothing(self):
        table = self.table(-0.1, -0.9)
        table.loc[table["benchmark"] == NAMES[0], "stability"] = 1.0
        row = self.decide(table)
        assert (row["verdict"], row["rule_verdict"]) == ("inconclusive", "")


class TestCorrelationTrend:
    RATES = (1.0, 5.0, 10.0, 20.0, 45.0, 90.0)

    def table(self, correlations, seeds=5):
        generator = np.random.default_rng(11)
        parts = []
        for rate, r in zip(self.RATES, correlations, strict=True):
            pair = correlated(r, seeds, generator)
            part = with_stability([pair, pair])
            parts.append(part[part["benchmark"] == NAMES[0]].assign(iterative_rate=rate))
        return pd.concat(parts, ignore_index=True)

    def test_is_the_slope_of_the_correlations(self):
        correlations = [-0.9, -0.7, -0.8, -0.4, -0.2, 0.1]
        row = decide(CHANGE_OF_R, runs=self.table(correlations))
        slope = stats.linregress(self.RATES, correlations).slope
        assert row["measured"] == pytest.approx(slope)
        z = stats.linregress(self.RATES, np.arctanh(correlations)).slope
        spread = np.sqrt(np.var(self.RATES) * len(self.RATES) * 12)
        assert row["p_value"] == pytest.approx(2 * stats.norm.sf(z * spread))
        assert (row["verdict"], row["rule_verdict"]) == ("reproduced", "holds")

    def test_that_strengthens(self):
        row = decide(CHANGE_OF_R, runs=self.table([0.1, -0.2, -0.4, -0.6, -0.8, -0.95]))
        assert (row["verdict"], row["rule_verdict"]) == ("contradicted", "fails")

    def test_that_stays(self):
        row = decide(CHANGE_OF_R, runs=self.table([-0.6] * 6))
        assert row["measured"] == pytest.approx(0, abs=1e-12)
        assert (row["verdict"], row["rule_verdict"]) == ("inconclusive", "fails")

    def test_of_two_seeds_is_inconclusive(self):
        row = decide(CHANGE_OF_R, runs=self.table([-0.9, -0.7, -0.5, -0.3, -0.1, 0.1], seeds=2))
        assert (row["verdict"], row["rule_verdict"]) == ("inconclusive", "")

    def test_of_one_value_is_not_run(self):
        table = self.table([-0.5] * 6)
        row = decide(CHANGE_OF_R, runs=table[table["iterative_rate"] == 5])
        assert row["verdict"] == "not run"
        assert "two values of iterative_rate" in row["note"]

    def test_chance_is_how_often_a_true_null_is_confirmed(self, monkeypatch):
        monkeypatch.setattr("gst.analysis.decisions.SAMPLES", 200)
        rule = CorrelationTrend.model_validate(CHANGE_OF_R)
        generator = np.random.default_rng(2)
        index = pd.MultiIndex.from_product([range(3), range(10), METHODS])
        table = index.to_frame(index=False, name=["iterative_rate", "seed", "method"]).assign(
            study="stability", benchmark="b", noise=0.0
        )
        outcomes = []
        for _ in range(100):
            values = generator.multivariate_normal([1, 1], [[1, -0.5], [-0.5, 1]], size=len(table))
            drawn = table.assign(stability=values[:, 0], best_test_accuracy=values[:, 1])
            evidence = Evidence({"runs": drawn}, "stability", {"b": "b"}, "published")
            outcomes.append(apply(rule, evidence, published=False))
        confirmed = sum(bool(outcome.agrees) for outcome in outcomes)
        assert confirmed <= 2.5 + 3 * math.sqrt(2.5)
        # The interval of ten seeds covers less than 95%, as it does for a mean of ten.
        decided = sum(outcome.state != "open" for outcome in outcomes)
        assert decided <= 0.2 * len(outcomes)


class TestNamedBenchmarks:
    def table(self):
        values = (np.reshape(side, (-1, 1)) for side in (DENSE_ERRORS, CLEARLY_LOWER))
        return two(*values, quantity="test_error", methods=("s",))

    def evaluate(self, scales, stand_ins, table):
        test = claim(ACROSS, *NAMES[:2])
        return evaluate([test], {"runs": table}, scales, stand_ins).iloc[0]

    def test_are_compared_seed_by_seed(self):
        row = decide(ACROSS, *NAMES[:2], runs=self.table())
        assert row["measured"] == pytest.approx(-2)
        assert (row["verdict"], row["replicates"]) == ("reproduced", 4)

    def test_one_that_did_not_run_is_named(self):
        row = self.evaluate({NAMES[0]: "published"}, {}, self.table())
        assert row["verdict"] == "not run"
        assert row["note"] == f"no benchmark of the study stands for {NAMES[1]}"

    def test_stand_ins(self):
        own = {NAMES[0]: "digits-a", NAMES[1]: "digits-b"}
        table = self.table().replace({"benchmark": own})
        scales = dict.fromkeys(own.values(), "reduced")
        row = self.evaluate(scales, own, table)
        assert row["verdict"] == "holds at reduced scale (digits-a, digits-b, n=4)"

    def test_one_stand_in_for_both_is_no_comparison(self):
        table = self.table().assign(benchmark="digits-a")
        row = self.evaluate({"digits-a": "reduced"}, dict.fromkeys(NAMES, "digits-a"), table)
        assert row["verdict"] == "not run"
        assert "digits-a stands for both" in row["note"]

    def test_are_listed_with_the_claim(self):
        with pytest.raises(ValueError, match=f"names {NAMES[1]}"):
            claim(ACROSS, NAMES[0])


class TestCleanProtocol:
    def test_takes_the_final_epoch_for_the_best_one(self):
        a, b = ({**side, "quantity": "best_test_accuracy"} for side in (PRUNED, DENSE))
        rule = {"kind": "compare", "a": a, "b": b, "expect": "higher"}
        table = runs("best_test_accuracy", pruned=[0.9] * 3, dense=[0.8] * 3)
        table = table.assign(test_error=np.repeat([0.4, 0.3], 3))
        row = decide(rule, runs=table)
        assert (row["measured"], row["verdict"]) == (pytest.approx(10), "reproduced")
        row = decide(rule, runs=table, protocol="clean")
        assert (row["measured"], row["verdict"]) == (pytest.approx(-10), "contradicted")

    def test_gap_is_that_of_the_final_weights(self):
        a = {**PRUNED, "quantity": "gap"}
        table = runs("gap", pruned=[0.05] * 3).assign(train_accuracy=1.0, test_error=0.2)
        rule = {"kind": "compare", "a": a, "expect": "higher"}
        measured = [
            decide(rule, runs=table, protocol=p)["measured"] for p in ("published", "clean")
        ]
        assert measured == pytest.approx([5, 20])

    def test_correlates_flatness_with_the_final_accuracy(self):
        x = np.linspace(0, 1, 6)
        table = runs("tic", s=x).assign(split="train", best_test_accuracy=x, test_accuracy=-x)
        a = {"table": "flatness", "quantity": "tic"}
        rule = {"kind": "correlate", "a": a, "over": "best_test_accuracy", "expect": "lower"}
        assert decide(rule, flatness=table, protocol="clean")["measured"] == pytest.approx(-1)


class TestCount:
    def table(self, *pruned):
        parts = [
            runs(pruned=errors, dense=DENSE_ERRORS).assign(benchmark=name)
            for name, errors in zip(NAMES, pruned, strict=True)
        ]
        return pd.concat(parts, ignore_index=True)

    def test_all(self):
        table = self.table(*[CLEARLY_LOWER] * 4)
        row = decide(COUNT, *NAMES, runs=table)
        assert row["measured"] == 4
        assert (row["verdict"], row["rule_verdict"]) == ("reproduced", "holds")

    def test_some(self):
        table = self.table(*[CLEARLY_LOWER] * 3, MIXED)
        row = decide({**COUNT, "at_least": 3, "of": 4}, *NAMES, runs=table)
        assert (row["measured"], row["verdict"], row["rule_verdict"]) == (3, "reproduced", "holds")
        row = decide(COUNT, *NAMES, runs=table)
        assert (row["measured"], row["verdict"], row["rule_verdict"]) == (
            3,
            "inconclusive",
            "fails",
        )

    def test_contradicted_by_more_than_chance(self):
        table = self.table(*[CLEARLY_HIGHER] * 4)
        assert decide(COUNT, *NAMES, runs=table)["verdict"] == "contradicted"

    def test_one_stray_case_of_many_contradicts_nothing(self):
        differences = np.full((3, 20), [[-1.0], [-1.1], [-1.2]])
        rule = {
            "kind": "count",
            "each": ("group",),
            "rule": {"kind": "compare", "a": CHANGE, "expect": "not higher", "margin": 0.01},
        }
        assert decide(rule, subgroups=subgroups(differences))["verdict"] == "reproduced"
        differences[:, 7] *= -1
        row = decide(rule, subgroups=subgroups(differences))
        assert (row["measured"], row["verdict"], row["rule_verdict"]) == (
            19,
            "inconclusive",
            "fails",
        )
        differences[:, 8:15] *= -1
        assert decide(rule, subgroups=subgroups(differences))["verdict"] == "contradicted"

    def test_cases_apply_to_both_sides(self):
        parts = [
            runs(pruned=[0.1 * level] * 3, extended=[0.1 * level] * 3).assign(level=level)
            for level in (1, 2, 3)
        ]
        b = {**PRUNED, "where": {"method": "extended"}}
        rule = {"kind": "compare", "a": PRUNED, "b": b, "expect": "match", "margin": 0.5}
        row = decide({"kind": "count", "each": ("level",), "rule": rule}, runs=pd.concat(parts))
        assert (row["measured"], row["verdict"]) == (3, "reproduced")

    def test_cases_leave_what_b_restricts(self):
        table = runs(s=CLEARLY_LOWER, l=CLEARLY_LOWER, none=DENSE_ERRORS)
        a = {**PRUNED, "where": {"method": ("s", "l")}}
        b = {**PRUNED, "where": {"method": "none"}}
        rule = {"kind": "compare", "a": a, "b": b, "expect": "lower"}
        row = decide({"kind": "count", "each": ("method",), "rule": rule}, runs=table)
        assert (row["measured"], row["verdict"]) == (2, "reproduced")

    def test_open_until_every_published_benchmark_ran(self):
        table = self.table(*[CLEARLY_LOWER] * 4)
        scales = dict.fromkeys(NAMES, "published")
        test = claim(COUNT, *NAMES, "imagenet-resnet50")
        row = evaluate([test], {"runs": table}, scales, {}).iloc[0]
        assert row["verdict"] == "inconclusive"
        assert "imagenet-resnet50" in row["note"]

    def test_open_until_every_published_case_ran(self):
        table = self.table(*[CLEARLY_LOWER] * 4)
        row = decide({**COUNT, "at_least": 11, "of": 13}, *NAMES, runs=table)
        assert row["verdict"] == "inconclusive"
        assert "13 cases" in row["note"]

    def test_needed_is_the_published_share(self):
        count = claim({**COUNT, "at_least": 11, "of": 13}).rule
        assert [count.needed(cases) for cases in (1, 2, 7, 13, 26)] == [1, 2, 6, 11, 22]


class TestScale:
    def reduced(self, rule, table):
        stand_ins = {"mnist-lenet": "digits-lenet", "cifar10-vgg16": "digits-lenet"}
        tables = {"runs": table.assign(benchmark="digits-lenet")}
        test = claim(rule, "mnist-lenet", "cifar10-vgg16", "cifar10-resnet20")
        return evaluate([test], tables, {"digits-lenet": "reduced"}, stand_ins).iloc[0]

    def test_verdict_names_it(self):
        table = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS)
        row = self.reduced(compare("lower", within=(5, 6)), table)
        assert row["verdict"] == "holds at reduced scale (digits-lenet, n=4)"
        assert (row["benchmark"], row["scale"]) == ("digits-lenet", "reduced")
        assert "only the direction" in row["note"]
        row = self.reduced(compare("higher"), table)
        assert row["verdict"] == "fails at reduced scale (digits-lenet, n=4)"
        row = self.reduced(compare("higher"), runs(pruned=MIXED, dense=DENSE_ERRORS))
        assert row["verdict"] == "inconclusive"

    def test_number_alone_is_not_run(self):
        row = self.reduced(compare(within=(-2, -2)), runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS))
        assert row["verdict"] == "not run"

    def test_the_benchmark_itself_goes_before_its_stand_in(self):
        own = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS)
        other = runs(pruned=CLEARLY_HIGHER, dense=DENSE_ERRORS).assign(benchmark="digits-lenet")
        scales = {"mnist-lenet": "published", "digits-lenet": "reduced"}
        tables = {"runs": pd.concat([own, other])}
        test = claim(compare("lower"))
        row = evaluate([test], tables, scales, {"mnist-lenet": "digits-lenet"}).iloc[0]
        assert row["verdict"] == "reproduced"

    @settings(max_examples=60, deadline=None)
    @given(
        pruned=st.lists(st.floats(0, 1), min_size=4, max_size=4),
        dense=st.lists(st.floats(0, 1), min_size=4, max_size=4),
        kind=st.sampled_from(["compare", "count", "trend"]),
        expect=st.sampled_from([None, "lower", "higher", "match", "not lower", "not higher"]),
    )
    def test_reduced_never_reproduces(self, pruned, dense, kind, expect):
        measured = 100 * float(np.mean(np.subtract(pruned, dense)))
        rule = compare(expect, within=(measured, measured), margin=1)
        table = runs(pruned=pruned, dense=dense)
        if kind == "trend":
            rule = {**rule, "kind": "trend", "over": "noise"}
            table = pd.concat([table, runs(pruned=dense, dense=dense).assign(noise=1.0)])
        if kind == "count":
            rule = {"kind": "count", "each": ("noise",), "rule": rule}
        row = self.reduced(rule, table)
        assert row["verdict"] not in ("reproduced", "contradicted")
        assert row["verdict"] in ("inconclusive", "not run") or "digits-lenet" in row["verdict"]


class TestNotRun:
    def test_without_a_rule(self):
        test = claim(None, waits_for="the sweep")
        row = evaluate([test], {}, {"mnist-lenet": "published"}, {}).iloc[0]
        assert (row["verdict"], row["note"]) == ("not run", "waits for the sweep")

    def test_without_the_benchmark(self):
        row = evaluate([claim(compare("lower"))], {}, {"digits-lenet": "reduced"}, {}).iloc[0]
        assert row["verdict"] == "not run"
        assert "mnist-lenet" in row["note"]

    def test_without_the_table(self):
        assert decide(compare("lower"))["verdict"] == "not run"
        assert decide(compare("lower"), runs=pd.DataFrame())["verdict"] == "not run"

    def test_without_the_other_side(self):
        row = decide(compare("lower"), runs=runs(pruned=[0.1] * 3))
        assert row["verdict"] == "not run"
        assert "method dense" in row["note"]

    def test_leaves_the_numbers_empty(self):
        row = decide(compare("lower"))
        assert row[["measured", "low", "high", "p_value", "chance"]].isna().all()
        assert (row["replicates"], row["rule_verdict"]) == (0, "")


class TestChance:
    def test_closed_form_at_three(self):
        # Student's t with 2 degrees of freedom: P(|t| >= sqrt 3) = 1 - sqrt(3 / 5).
        row = decide(compare("lower"), runs=runs(pruned=[0.1, 0.2, 0.3], dense=[0.3, 0.3, 0.4]))
        assert row["chance"] == pytest.approx((1 - math.sqrt(3 / 5)) / 2)

    def test_is_how_often_a_true_null_is_confirmed(self):
        generator = np.random.default_rng(0)
        draws = 400
        differences = generator.normal(size=(3, draws))
        rule = {"kind": "compare", "a": CHANGE, "expect": "lower"}
        tables = {"subgroups": subgroups(differences)}
        cases = [
            claim({**rule, "a": {**CHANGE, "where": {"group": group}}})
            for group in range(1, draws + 1)
        ]
        found = evaluate(cases, tables, {"mnist-lenet": "published"}, {})
        summary = chance_summary(found)
        assert summary.tested == draws
        assert summary.by_chance == pytest.approx(0.1127 * draws, rel=1e-3)
        spread = math.sqrt(draws * 0.1127 * 0.8873)
        assert abs(summary.confirmed - summary.by_chance) < 3 * spread

    def test_of_a_count_is_binomial(self):
        table = TestCount().table(*[CLEARLY_LOWER] * 4)
        rule = {**COUNT, "at_least": 3, "of": 4}
        row = decide(rule, *NAMES, runs=table)
        one = stats.t.sf(2, 3)
        assert row["chance"] == pytest.approx(4 * one**3 * (1 - one) + one**4)

    def test_summary_counts_the_same_test_once_and_leaves_undirected_ones_out(self):
        table = runs(pruned=CLEARLY_LOWER, dense=DENSE_ERRORS)
        rules = [
            compare("lower"),
            compare("lower"),
            compare("higher"),
            compare("match", margin=1),
            compare(within=(-2, -2)),
        ]
        claims = [claim(rule) for rule in rules]
        found = evaluate(claims, {"runs": table}, {"mnist-lenet": "published"}, {})
        summary = chance_summary(found)
        assert (summary.tested, summary.confirmed) == (2, 1)
        assert summary.by_chance == pytest.approx(2 * stats.t.sf(2, 3))

    def test_summary_of_nothing(self):
        found = evaluate([claim(compare("lower"))], {}, {}, {})
        assert chance_summary(found) == (0, 0, 0)


class TestLoading:
    GOOD = """
- id: stability-a
  paper: stability
  place: Section 3
  statement: Less stable is better.
  published: -0.7
  benchmarks: [cifar10-vgg11]
  rule:
    kind: correlate
    a: {table: runs, quantity: best_test_accuracy}
    over: stability
    expect: lower
    within: [-0.7, -0.7]
- id: stability-b
  paper: stability
  place: Section 3
  statement: It waits.
  benchmarks: [cifar10-vgg11]
  waits_for: time
"""

    def test_reads_claims(self, tmp_path):
        path = tmp_path / "claims.yaml"
        path.write_text(self.GOOD)
        first, second = load_claims(path)
        assert isinstance(first.rule, Correlate)
        assert first.published == -0.7
        assert second.waits_for == "time"

    def test_lists_all_faults_at_once(self, tmp_path):
        path = tmp_path / "claims.yaml"
        text = self.GOOD + self.GOOD.replace("stability-b", "regularization-b").replace(
            "over: stability", "ovr: stability"
        ).replace("waits_for: time", "place: ''").replace("stability-a", "stability-c")
        path.write_text(text + self.GOOD.split("- id: stability-b")[0])
        with pytest.raises(ValueError, match=r"claims\.yaml") as error:
            load_claims(path)
        message = str(error.value)
        for fault in (
            "ovr",
            "over",
            "regularization-b: place",
            "stability-a: given more than once",
        ):
            assert fault in message

    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            ("expect: lower", "expect: down", "expect"),
            ("expect: lower", "expect: match", "margin"),
            ("[-0.7, -0.7]", "[0.7, -0.7]", "low to high"),
            ("expect: lower\n    within: [-0.7, -0.7]", "statistic: kendall", "expect"),
            ("cifar10-vgg11]\n  rule", "mnist-lenet]\n  rule", "mnist-lenet"),
            ("[cifar10-vgg11]\n  rule", "[]\n  rule", "benchmarks"),
            ("  waits_for: time\n", "", "waits_for"),
            ("kind: correlate", "kind: guess", "guess"),
            ("id: stability-a", "id: other-a", "stability-"),
            ("place: Section 3\n  statement: It", "place: ''\n  statement: It", "place"),
        ],
    )
    def test_refuses(self, tmp_path, old, new, fault):
        path = tmp_path / "claims.yaml"
        assert old in self.GOOD
        path.write_text(self.GOOD.replace(old, new))
        with pytest.raises(ValueError, match=fault):
            load_claims(path)

    @pytest.mark.parametrize("text", ["", "a: 1", "- 1", "[]"])
    def test_refuses_what_is_no_list_of_claims(self, tmp_path, text):
        path = tmp_path / "claims.yaml"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"claims\.yaml"):
            load_claims(path)

    def test_at_least_and_of_go_together(self):
        for change in ({"at_least": 2}, {"of": 2}, {"at_least": 3, "of": 2}):
            with pytest.raises(ValueError, match="at_least"):
                claim({**COUNT, **change})


@pytest.fixture(scope="module")
def shipped():
    return load_claims(SHIPPED)


@pytest.fixture(scope="module")
def index():
    with INDEX.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def judged(shipped):
    """Verdicts on planted tables, by id."""
    names = [name for names in PUBLISHED.values() for name in names]
    scales = dict.fromkeys(names, "published")
    return evaluate(shipped, planted(shipped), scales, {}).set_index("id")


class TestShipped:
    def test_ids_and_index_name_each_other(self, shipped, index):
        indexed = {
            name for row in index if row["claims"] != "none" for name in row["claims"].split(";")
        }
        assert indexed == {claim.id for claim in shipped}

    def test_index_gives_claims_or_a_reason(self, index):
        for row in index:
            assert row["paper"] in PUBLISHED
            assert (row["claims"] == "none") == bool(row["reason"])
            assert 0 < len(row["sentence"].split()) <= 6
            assert all(
                name.startswith(row["paper"]) or name == "none" for name in row["claims"].split(";")
            )

    def test_index_counts_the_sentences_of_each_section(self, index):
        table = pd.DataFrame(index).astype({"order": int})
        for _, orders in table.groupby(["paper", "section"])["order"]:
            assert list(orders) == list(range(1, len(orders) + 1))

    def test_places_are_sections_of_the_index(self, shipped, index):
        sections = {(row["paper"], row["section"]) for row in index}
        for claim in shipped:
            for place in claim.place.split("; "):
                if place.startswith(("Section", "Abstract")):
                    section = place.split(",")[0].removeprefix("Section ")
                    assert (claim.paper, section) in sections, claim.id

    def test_every_rule_finds_its_columns_and_rows(self, shipped, judged):
        without = set(judged.index[judged["verdict"] == "not run"])
        assert without == {claim.id for claim in shipped if claim.rule is None}

    def test_every_stability_claim_has_a_rule(self, shipped):
        assert all(claim.rule for claim in shipped if claim.paper == "stability")

    def test_planted_effects_are_found(self, judged):
        verdicts = judged["verdict"]
        assert verdicts["regularization-fig3-better-on-11-of-13"] == "reproduced"
        assert verdicts["regularization-fig2a-no-subgroup-worse"] == "reproduced"
        assert verdicts["regularization-fig7-clean-worse-on-4-of-5"] == "reproduced"
        assert verdicts["regularization-appendix-c-other-algorithms"] == "reproduced"
        assert verdicts["regularization-appendix-c-others-match-extended"] == "contradicted"
        assert verdicts["regularization-nonuniform-at-all-sparsities"] == "reproduced"
        assert verdicts["regularization-harm-only-at-high-sparsity"] == "reproduced"
        assert verdicts["regularization-harm-at-high-sparsity"] == "reproduced"
        assert verdicts["stability-fig6-stability-curvature"] == "reproduced"
        assert verdicts["stability-fig6-stability-epsilon"] == "contradicted"
        assert verdicts["stability-fig2-vgg11-correlation"] == "contradicted"


NOISES = {
    "mnist-lenet": (0.0, 5.0, 10.0, 15.0),
    "imagenet-resnet50": (0.0, 15.0),
}


WITHOUT = (
    ("improved", 20.0, 0.35),
    ("random", 20.0, 0.31),
    ("misclassified", np.nan, 0.24),
    ("worsened-subgroup", np.nan, 0.28),
)
"""What is left out, its share in percent, and the test error without it."""


def planted(claims):
    """Tables of every benchmark that the claims name, with the columns of the analysis.

    Pruned networks are better, narrower ones worse than dense ones, and those pruned by other
    scores as good as extended ones; losses fall in all subgroups, accuracy at the last level;
    all that varies between the runs of the stability study rises with stability.
    """
    generator = np.random.default_rng(0)
    error = {"dense": 0.30, "pruned": 0.25, "extended": 0.27, "width": 0.40}
    error |= {"snip": 0.27, "synflow": 0.27}
    selected, subgroup, levels, runs = [], [], [], []
    flatness, curves, left_out = [], [], []
    for benchmark in PUBLISHED["regularization"]:
        for noise in NOISES.get(benchmark, (0.0, 15.0, 30.0, 60.0)):
            for seed in range(3):
                here = {
                    "study": "regularization",
                    "benchmark": benchmark,
                    "noise": noise,
                    "seed": seed,
                    "protocol": "published",
                }
                for method in ("pruned", "extended", "width"):
                    for level, which in enumerate(("dense", "optimal", "sparsest-better")):
                        row = dict.fromkeys(SELECTED, 1.0) | here
                        row |= {"method": method, "which": which, "level": level}
                        row["test_error"] = error[method if level else "dense"]
                        selected.append(row)
                        for group in range(1, 21):
                            change = dict.fromkeys(SUBGROUPS, 1.0) | row
                            change |= {"group": group, "percentile": 5.0 * group}
                            change |= {"loss_difference": -0.1 * group}
                            subgroup.append({key: change[key] for key in SUBGROUPS})
                for by, percent, own in WITHOUT:
                    row = dict.fromkeys(LEFT_OUT, 1.0) | here | {"by": by, "percent": percent}
                    del row["protocol"]
                    row |= {"test_error": own, "test_error_dense": error["dense"]}
                    left_out.append(row | {"test_error_pruned": error["pruned"]})
                for level in range(1, 13):
                    for group in range(1, 21):
                        row = dict.fromkeys(LEVELS, 1.0) | here | {"method": "pruned"}
                        row |= {"level": level, "weights_remaining": 0.8**level, "group": group}
                        row |= {"percentile": 5.0 * group}
                        row |= {"loss_difference": -0.1 * group}
                        row |= {"accuracy_difference": -0.1 if level == 12 else 0.0}
                        levels.append({key: row[key] for key in LEVELS})
                for method in ("dense", "pruned", "extended", "snip", "synflow"):
                    for level in range(1) if method == "dense" else range(1, 13):
                        row = dict.fromkeys(MEASURES, 1.0) | here | {"method": method}
                        del row["protocol"]
                        row |= {"level": level, "weights_remaining": 0.8**level}
                        runs.append(row | {"test_error": error[method]})
    for benchmark in PUBLISHED["stability"]:
        for method in sorted(methods_of(benchmark, claims)):
            for seed in range(5):
                here = {"study": "stability", "benchmark": benchmark, "method": method}
                value = generator.uniform(0.5, 1)
                row = dict.fromkeys(MEASURES, value) | here | {"noise": 0.0, "seed": seed}
                last = method.split("-")[-1]
                rate = float(last) if last.isdigit() else 90.0 if last == "once" else 13.0
                facts = dict.fromkeys(("reduction_own", "reduction_physical"), 0.4)
                runs.append(row | facts | {"level": 0, "events": 7, "iterative_rate": rate})
                measured = ("trace_top", "gradient_noise", "tic", "epsilon")
                joined = ("stability", "best_test_accuracy")
                row = dict.fromkeys((*measured, *joined), value) | here
                flatness.append(row | {"seed": seed, "split": "test"})
                for epoch in range(2):
                    point = {"seed": seed, "epoch": epoch, "test_accuracy": value}
                    curves.append(here | {"noise": 0.0} | point)
    tables = {
        "selected": selected,
        "subgroups": subgroup,
        "subgroup_levels": levels,
        "runs": runs,
        "flatness": flatness,
        "curves": curves,
        "left_out": left_out,
    }
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    frames["runs"]["diverged"] = False
    assert set(frames["selected"]) == {*SELECTED}
    assert set(frames["subgroups"]) == {*SUBGROUPS}
    assert set(frames["left_out"]) == {*LEFT_OUT}
    assert set(frames["subgroup_levels"]) == {*LEVELS}
    return frames


def methods_of(benchmark, claims):
    """Return the methods that claims name for a benchmark."""
    return {
        method
        for claim in claims
        if benchmark in claim.benchmarks
        for rows in sides(claim.rule)
        if rows.where.get("benchmark", benchmark) == benchmark
        for method in listed(rows)
    }


def sides(rule):
    """Return the selections of rows that a rule compares."""
    if isinstance(rule, Count):
        return sides(rule.rule)
    found = (getattr(rule, side, None) for side in ("a", "b"))
    return [rows for rows in found if isinstance(rows, Rows)]


def listed(rows):
    """Return the methods that a selection of rows names."""
    methods = rows.where.get("method", ())
    return (methods,) if isinstance(methods, str) else methods
