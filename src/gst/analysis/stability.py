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
        epochs: One run's epochs; columns accuracy_before, accuracy_after, removed.

    Returns:
        Stability; 1 where pruning costs nothing.
    """
    events = epochs[epochs["removed"] > 0]
    if events.empty:
        return 1.0
    return float(1 - instability(events["accuracy_before"], events["accuracy_after"]).mean())
