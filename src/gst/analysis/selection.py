"""Which level of a method counts: the optimal one, and the sparsest that still beats dense.

Both protocols are computed from the same runs. As published, the level with the lowest error
on the whole test set is chosen, and that error is reported. The clean protocol chooses on one
fixed half of the test set and reports on the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gst.analysis.frames import groups, stack

PROTOCOLS = {
    "published": ("test_error", "test_error"),
    "clean": ("selection_error", "report_error"),
}
"""For each protocol, the error that a level is chosen by and the error that is reported."""

COLUMNS = (
    "study",
    "benchmark",
    "noise",
    "method",
    "protocol",
    "which",
    "seed",
    "level",
    "weights_remaining",
    "epochs_spent",
    "test_error",
    "train_loss",
    "loss_original",
    "loss_noisy",
)


def selected(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the replicates of the levels that count.

    Args:
        runs: Rows of the regularization study, as `runs.runs_table` makes them.

    Returns:
        One row for each benchmark, noise, method, protocol, seed, and `which`: dense,
        optimal (lowest error; the dense network is a candidate, and of levels that tie the first
        counts), sparsest-better (fewest weights with an error below dense; absent where there is
        none, and for extended training, which removes none). test_error is the error that the
        protocol reports.
    """
    parts = [part for _, cell in groups(runs, "benchmark", "noise") for part in _cell(cell)]
    return stack(parts, COLUMNS).dropna(subset="test_error", ignore_index=True)


def _cell(cell: pd.DataFrame) -> Iterator[pd.DataFrame]:
    dense = cell[cell["method"] == "dense"]
    for (method,), own in groups(cell[cell["level"] > 0], "method"):
        candidates = pd.concat([dense, own])
        for protocol, (chooses, reports) in PROTOCOLS.items():
            change = mean_change(candidates, chooses)
            if not change:
                continue
            choice = {"dense": 0, "optimal": min(change, key=lambda level: change[level])}
            better = [level for level, value in change.items() if value < 0]
            if better and method != "extended":
                choice["sparsest-better"] = max(better)
            for which, level in choice.items():
                yield candidates[candidates["level"] == level].assign(
                    method=method,
                    protocol=protocol,
                    which=which,
                    test_error=candidates[reports],
                )


def mean_change(candidates: pd.DataFrame, measure: str) -> dict[int, float]:
    """Return, by level, the mean over seeds of a measure minus that of level 0.

    Seeds are paired. A level that lost a replicate which another level kept is left out: its
    mean would compare other seeds. Means are rounded to what a test set of a billion images could
    tell apart, so that levels that tie are not ranked by the last bits of their sums.
    """
    table = candidates.pivot(index="seed", columns="level", values=measure)
    change = table.sub(table[0], axis=0)
    pairs = change.count()
    means = change.mean().round(9)[(pairs == pairs.max()) & (pairs > 0)]
    return {int(level): float(value) for level, value in zip(means.index, means, strict=True)}
