"""Correlations of stability, flatness and accuracy in one benchmark of the stability study."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial as bound

import numpy as np
import pandas as pd

from gst.analysis.frames import groups
from gst.analysis.statistics import kendall, partial, pearson

COLUMNS = (
    "benchmark",
    "x",
    "y",
    "protocol",
    "split",
    "subset",
    "iterative_rate",
    "statistic",
    "r",
    "low",
    "high",
    "p",
    "n",
)

ACCURACY = {"published": "best_test_accuracy", "clean": "test_accuracy"}
"""The accuracy that each protocol reports, as a column of the tables of runs and flatness."""

SPLITS = {"published": "test", "clean": "train"}
"""Images on which each protocol measures flatness."""

FLATNESS = ("trace_top", "trace_hutchinson", "gradient_noise", "tic", "tic_unbiased", "epsilon")
"""Measures of flatness, as columns of the table of flatness."""

PUBLISHED = ("s-slow", "s-fast", "l-fast")
"""Variants over which figure 2 of the paper correlates."""


def correlations(runs: pd.DataFrame, flatness: pd.DataFrame) -> pd.DataFrame:
    """Return how stability, flatness and accuracy go together over the runs of a benchmark.

    Pairs x, y: stability with accuracy and with the generalization gap; stability with each
    measure of flatness, and that with accuracy. Accuracy, gap and images of flatness are those
    of the protocol. Statistics: pearson, kendall and, where several targets were pruned,
    partial: Pearson given the target (S, R, L).

    Subsets of the runs: those pruned (or noised) while training ("all pruned"), those of figure
    2 of the paper if all its variants are there ("published"), and those of one iterative rate
    if it has several targets ("rate 13%"; the column iterative_rate has the number).

    Args:
        runs: As `runs.runs_table` makes it, of one benchmark.
        flatness: As `flatness.flatness_table` makes it, of the same one.

    Returns:
        The columns of `COLUMNS`, r with its 95% bootstrap interval, its p-value, and the number
        n of runs. A pair without values has no row.
    """
    found = []
    for table, x, y, protocol, split in _pairs(runs, flatness):
        for subset, rate, rows in _subsets(table):
            a, b, target = rows[x], rows[y], rows["target"]
            if not (np.isfinite(a) & np.isfinite(b)).any():
                continue
            statistics = {"pearson": pearson, "kendall": kendall}
            if target.nunique() > 1:
                statistics["partial"] = bound(partial, group=target)
            keys = {
                "benchmark": rows["benchmark"].iloc[0],
                "x": x,
                "y": y,
                "protocol": protocol,
                "split": split,
                "subset": subset,
                "iterative_rate": rate,
            }
            found += [
                {**keys, "statistic": name, **statistic(a, b)._asdict()}
                for name, statistic in statistics.items()
            ]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _pairs(
    runs: pd.DataFrame, flatness: pd.DataFrame
) -> Iterator[tuple[pd.DataFrame, str, str, str, str]]:
    """Yield a table, two of its columns, a protocol and its split ("" if no images matter)."""
    for protocol, accuracy in ACCURACY.items():
        table = runs.assign(test_accuracy=1 - runs["test_error"])
        if protocol == "clean":
            table["gap"] = table["train_accuracy"] - table["test_accuracy"]
        yield table, "stability", accuracy, protocol, ""
        yield table, "stability", "gap", protocol, ""
        split = SPLITS[protocol]
        table = flatness[flatness["split"] == split]
        for measure in FLATNESS:
            if measure in table:
                yield table, "stability", measure, protocol, split
                yield table, measure, accuracy, protocol, split


def _subsets(table: pd.DataFrame) -> Iterator[tuple[str, float, pd.DataFrame]]:
    """Yield the name, the iterative rate (NaN if several) and the rows of each subset."""
    pruned = table[table["events"] > 0]
    yield "all pruned", np.nan, pruned
    if set(PUBLISHED) <= set(pruned["method"]):
        yield "published", np.nan, pruned[pruned["method"].isin(PUBLISHED)]
    rated = pruned.dropna(subset="iterative_rate").sort_values("iterative_rate", kind="stable")
    for (rate,), rows in groups(rated, "iterative_rate"):
        if rows["target"].nunique() > 1:
            yield f"rate {rate:.2g}%", rate, rows
