from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.stability import instability, recovery_epochs, run_stability


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
        targets=[0, 3, 0, 1],
    )
    assert run_stability(table) == pytest.approx((0.75 + 1.0) / 2)


def test_events_that_remove_nothing_do_not_count() -> None:
    table = epochs(accuracy_before=[0.8, 0.9], accuracy_after=[0.6, 0.9], targets=[2, 0])
    assert run_stability(table) == pytest.approx(0.75)


def test_a_run_without_events_is_perfectly_stable() -> None:
    table = epochs(accuracy_before=[0.9], accuracy_after=[0.9], targets=[0])
    assert run_stability(table) == 1.0
    assert run_stability(table.iloc[:0]) == 1.0


NAN = float("nan")


def test_recovery_is_until_accuracy_is_what_it_was() -> None:
    table = epochs(
        epoch=[0, 1, 2, 3, 4, 5, 6],
        test_accuracy=[0.1, 0.5, 0.4, 0.5, 0.6, 0.3, 0.5],
        accuracy_before=[NAN, 0.5, NAN, NAN, 0.6, NAN, NAN],
        accuracy_after=[NAN, 0.2, NAN, NAN, 0.5, NAN, NAN],
        targets=[0, 3, 0, 0, 3, 0, 0],
    )
    # 0.5 is back after 2 epochs; 0.6 never, in the 2 epochs that are left.
    assert recovery_epochs(table) == 2
    # Resumed at epoch 10, say: only differences of epochs count.
    assert recovery_epochs(table.assign(epoch=table["epoch"] + 10)) == 2


def test_events_without_a_loss_need_no_recovery() -> None:
    table = epochs(
        epoch=[0, 1, 2, 3],
        test_accuracy=[0.1, 0.5, 0.5, 0.4],
        accuracy_before=[NAN, 0.5, 0.5, NAN],
        accuracy_after=[NAN, 0.5, 0.1, NAN],
        targets=[0, 3, 0, 0],
    )
    assert np.isnan(recovery_epochs(table))
    assert np.isnan(recovery_epochs(table.iloc[:0]))
    # At the last epoch nothing of the run is left.
    last = table.assign(targets=[0, 0, 3, 0]).iloc[:3]
    assert recovery_epochs(last) == 0
