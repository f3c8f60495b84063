"""How much accuracy pruning costs at the moment of pruning."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def instability(before: ArrayLike, after: ArrayLike) -> np.ndarray:
    """Return the share of the accuracy that a pruning event loses, (before - after) / before.

    Source: stability paper, section 3. Negative where pruning raised the accuracy.

    Args:
        before: Test accuracies just before the events, in (0, 1], any shape.
        after: Test accuracies just after them, of the same shape.

    Raises:
        ValueError: If an accuracy before is 0, of which no share can be lost.
    """
    start = np.asarray(before, dtype=float)
    if np.any(start == 0):
        raise ValueError("an accuracy before pruning is 0; instability is a share of it")
    lost: np.ndarray = (start - np.asarray(after, dtype=float)) / start
    return lost


def run_stability(epochs: pd.DataFrame) -> float:
    """Return a run's stability, the mean of 1 - instability over its pruning events.

    Source: stability paper, figure 1. Events that removed nothing do not count; a run
    without events is perfectly stable.

    Args:
        epochs: One run's epochs; columns accuracy_before, accuracy_after, targets.

    Returns:
        Stability; 1 where pruning costs nothing.
    """
    events = epochs[epochs["targets"] > 0]
    if events.empty:
        return 1.0
    return float(1 - instability(events["accuracy_before"], events["accuracy_after"]).mean())


def recovery_epochs(epochs: pd.DataFrame) -> float:
    """Return how long a run takes, on average, to regain the accuracy that an event cost.

    Args:
        epochs: One run's epochs in order; columns epoch, test_accuracy (before an event at the
            end of that epoch), accuracy_before, accuracy_after, targets.

    Returns:
        Mean, over the events that cost accuracy, of the epochs until test accuracy is again at
        least what it was before; the rest of the run where it never is. NaN without such events.
    """
    events = epochs[
        (epochs["targets"] > 0) & (epochs["accuracy_after"] < epochs["accuracy_before"])
    ]
    if events.empty:
        return np.nan
    epoch, accuracy = epochs["epoch"].to_numpy(), epochs["test_accuracy"].to_numpy()
    at, before = events["epoch"].to_numpy(), events["accuracy_before"].to_numpy()
    regained = (epoch > at[:, None]) & (accuracy >= before[:, None])
    end = np.where(regained.any(axis=1), epoch[regained.argmax(axis=1)], epoch[-1])
    return float(np.mean(end - at))
