"""The numbers behind the figures of the regularization study, level by level (its appendix M)."""

from __future__ import annotations

import pandas as pd

KEYS = ["study", "benchmark", "noise", "method", "level"]

MEASURES = ("test_error", "train_loss", "loss_original", "loss_noisy")


def level_numbers(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean and standard deviation over seeds of what a level reaches.

    Args:
        runs: As `runs.runs_table` makes it.

    Returns:
        One row a benchmark, noise, method and level: weights_remaining, epochs_spent, n (the
        replicates that did not diverge), and for each of `MEASURES` the columns NAME_mean and
        NAME_sd (ddof 1, NaN for a single replicate).
    """
    cells = runs.groupby(KEYS, sort=False)
    table = cells[["weights_remaining", "epochs_spent"]].mean()
    table["n"] = cells["test_error"].count()
    for name in MEASURES:
        table[f"{name}_mean"], table[f"{name}_sd"] = cells[name].mean(), cells[name].std()
    return table.reset_index()
