"""What each account of generalization says of every run, beside the run's test accuracy.

Neither paper has this table: the regularization paper looks at size, length of training and the
loss on noisy examples, the stability paper at stability and flatness. Here they stand side by
side for the same runs.
"""

from __future__ import annotations

import pandas as pd

from gst.analysis.flatness import RUN

ACCOUNTS = ("size", "length", "stability", "flatness", "loss")
"""The accounts, as columns. size: share of the weights that remain. length: epochs trained, all
levels together. stability: mean over the pruning that led to the run, 1 if there was none.
flatness: minus the trace of the Hessian (unbiased estimate) over the weights that remain, on
training images. loss: mean training loss on noisy examples; without label noise, on the fifth of
the examples that EL2N calls most influential."""

METHODS = ("dense", "pruned", "extended", "width")
"""Methods of the regularization study that count; of the stability study all variants do."""

COLUMNS = (*RUN, "test_accuracy", *ACCOUNTS)


def accounts_table(
    runs: pd.DataFrame, flatness: pd.DataFrame, hard_losses: pd.Series
) -> pd.DataFrame:
    """Return one row a replicate: its final test accuracy, and the value of each account.

    Args:
        runs: As `runs.runs_table` makes it.
        flatness: As `flatness.flatness_table` makes it, of the same benchmark.
        hard_losses: As `subgroups.hard_losses` makes it, row by row of runs.

    Returns:
        The columns of `COLUMNS`. NaN is what was not measured, or diverged.
    """
    own = runs[(runs["study"] == "stability") | runs["method"].isin(METHODS)]
    table = own.assign(
        test_accuracy=1 - own["test_error"],
        size=own["weights_remaining"],
        length=own["epochs_spent"],
        stability=own["chain_stability"],
        loss=own["loss_noisy"].where(own["noise"] > 0, hard_losses),
    )
    if flatness.empty:
        return table.assign(flatness=float("nan"))[list(COLUMNS)].reset_index(drop=True)
    flat = flatness[flatness["split"] == "train"]
    flat = flat[list(RUN)].assign(flatness=-flat["trace_hutchinson"].astype(float))
    return table.merge(flat, on=list(RUN), how="left")[list(COLUMNS)]
