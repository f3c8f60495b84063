"""Which runs are correlated in which quantities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gst.analysis.correlations import COLUMNS, correlations

VARIANTS = {
    "none": ("", np.nan, 0),
    "scratch": ("", np.nan, 0),
    "s-slow": ("S", 1.3235, 3),
    "s-fast": ("S", 90 / 7, 3),
    "r-fast": ("R", 90 / 7, 3),
    "l-fast": ("L", 90 / 7, 3),
}


def made(*names: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    rows = []
    for name in names or VARIANTS:
        target, rate, events = VARIANTS[name]
        for seed in range(5):
            accuracy = rng.random()
            rows.append(
                {
                    "benchmark": "toy",
                    "method": name,
                    "seed": seed,
                    "target": target,
                    "iterative_rate": rate,
                    "events": events,
                    "stability": rng.random() if events else 1.0,
                    "best_test_accuracy": accuracy,
                    "test_error": 1 - accuracy + 0.1 * rng.random(),
                    "train_accuracy": 1 - 0.1 * rng.random(),
                    "gap": rng.random(),
                    "trace_top": rng.random(),
                    "epsilon": rng.random(),
                }
            )
    runs = pd.DataFrame(rows)
    parts = [
        runs.assign(
            split=split,
            trace_top=runs["trace_top"] * rng.random(len(runs)),
            test_accuracy=1 - runs["test_error"],
        )
        for split in ("test", "train")
    ]
    return runs.drop(columns=["trace_top", "epsilon"]), pd.concat(parts, ignore_index=True)


def test_every_pair_under_its_protocol() -> None:
    found = correlations(*made())
    assert tuple(found) == COLUMNS
    pairs = found.groupby(["protocol", "split"])[["x", "y"]].apply(
        lambda rows: set(rows.itertuples(index=False, name=None))
    )
    for protocol, split, accuracy in (
        ("published", "test", "best_test_accuracy"),
        ("clean", "train", "test_accuracy"),
    ):
        assert pairs[protocol, ""] == {("stability", accuracy), ("stability", "gap")}
        assert pairs[protocol, split] == {
            ("stability", "trace_top"),
            ("trace_top", accuracy),
            ("stability", "epsilon"),
            ("epsilon", accuracy),
        }
    assert len(pairs) == 4


def test_subsets() -> None:
    found = correlations(*made())
    counts = found.groupby(["subset", "statistic"])["n"].unique()
    assert {key: set(n) for key, n in counts.items()} == {
        (subset, statistic): {n}
        for subset, n in (("all pruned", 20), ("published", 15), ("rate 13%", 15))
        for statistic in ("pearson", "kendall", "partial")
    }
    rates = found.groupby("subset")["iterative_rate"].first()
    assert rates["rate 13%"] == pytest.approx(90 / 7)
    assert np.isnan(rates["all pruned"])
    # Without one of its variants there is no published set; one target needs no partial one.
    some = correlations(*made("none", "s-slow", "s-fast"))
    assert set(some["subset"]) == {"all pruned"}
    assert set(some["statistic"]) == {"pearson", "kendall"}


def test_values_are_those_of_the_rows() -> None:
    runs, flatness = made()
    found = correlations(runs, flatness).set_index(["x", "y", "protocol", "subset", "statistic"])
    pruned = runs[runs["events"] > 0]
    gap = pruned["train_accuracy"] - (1 - pruned["test_error"])
    r, p = stats.pearsonr(pruned["stability"], gap)
    row = found.loc[("stability", "gap", "clean", "all pruned", "pearson")]
    assert (row["r"], row["p"]) == (pytest.approx(r), pytest.approx(p))
    assert row["low"] < r < row["high"]
    fast = flatness[(flatness["split"] == "train") & flatness["method"].str.endswith("fast")]
    tau = stats.kendalltau(fast["trace_top"], 1 - fast["test_error"]).statistic
    row = found.loc[("trace_top", "test_accuracy", "clean", "rate 13%", "kendall")]
    assert row["r"] == pytest.approx(tau)
    given = fast.groupby("target")[["trace_top", "test_error"]].transform("mean")
    left = fast[["trace_top", "test_error"]] - given
    row = found.loc[("trace_top", "test_accuracy", "clean", "rate 13%", "partial")]
    assert row["r"] == pytest.approx(-stats.pearsonr(*left.to_numpy().T).statistic)


def test_diverged_runs_and_measures_that_are_not_there() -> None:
    runs, flatness = made()
    runs.loc[runs["method"].eq("s-fast") & runs["seed"].eq(0), "stability"] = np.nan
    flatness["epsilon"] = np.nan
    found = correlations(runs, flatness)
    assert "epsilon" not in {*found["x"], *found["y"]}
    own = found[(found["y"] == "gap") & (found["subset"] == "all pruned")]
    assert set(own["n"]) == {19}
    assert correlations(*made("none")).empty
    alone = correlations(runs, pd.DataFrame(columns=["split"]))
    assert set(alone["y"]) == {"best_test_accuracy", "test_accuracy", "gap"}
