from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.stability import instability, run_stability


def epochs(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_instability_is_the_share_of_the_accuracy_lost() -> None:
    np.testing.assert_allclose(
        instability([0.8, 0.5, 0.4], [0.6, 0.5, 0.5]), [0.25, 0.0, -0.25], atol=1e-15
    )


def test_a_share_of_no_accuracy_is_refused() -> None:
    with pytest.raises(ValueError, match="accuracy before pruning is 0"):
        instability([0.5, 0.0], [0.5, 0.0])


def test_a_run_is_as_stable_as_its_events_are_on_average() -> None:
    nan = float("nan")
    table = epochs(
        accuracy_before=[nan, 0.8, nan, 0.5],
        accuracy_after=[nan, 0.6, nan, 0.5],
        removed=[0, 3, 0, 1],
    )
    assert run_stability(table) == pytest.approx((0.75 + 1.0) / 2)


def test_events_that_remove_nothing_do_not_count() -> None:
    table = epochs(accuracy_before=[0.8, 0.9], accuracy_after=[0.6, 0.9], removed=[2, 0])
    assert run_stability(table) == pytest.approx(0.75)


def test_a_run_without_events_is_perfectly_stable() -> None:
    table = epochs(accuracy_before=[0.9], accuracy_after=[0.9], removed=[0])
    assert run_stability(table) == 1.0
    assert run_stability(table.iloc[:0]) == 1.0
