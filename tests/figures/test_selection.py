"""The levels that both protocols choose."""

from __future__ import annotations

import numpy as np
import pytest

from gst.figures.selection import Selection


def test_both_protocols_stand_side_by_side(tables) -> None:
    chosen = tables["regularization"]["selected"]
    table = Selection.summarise(chosen)
    row = table.query("noise == 40 and method == 'pruned' and protocol == 'clean'").iloc[0]
    own = chosen.query("noise == 40 and method == 'pruned' and protocol == 'clean'")
    errors = own.pivot(index="seed", columns="which", values="test_error")
    assert row["mean"] == pytest.approx((errors["dense"] - errors["optimal"]).mean())
    assert row["dense_error"] == pytest.approx(errors["dense"].mean())
    (axes,) = Selection.draw(table).axes
    points = [got for got in axes.lines if got.get_marker() in "so^" and len(got.get_xdata()) == 1]
    assert len(points) == len(table) == 12
    heights = sorted(got.get_ydata()[0] for got in points)
    np.testing.assert_allclose(heights, sorted(100 * table["mean"]))


def test_replicates_that_agree_have_intervals_of_no_width(tables) -> None:
    """Sums in floats differ in their last bits, which must not turn an error bar round."""
    chosen = tables["regularization"]["selected"].copy()
    chosen["test_error"] = np.where(chosen["which"] == "dense", 0.3, 0.1)
    table = Selection.summarise(chosen)
    assert (table["low"] <= table["mean"]).all()
    Selection.draw(table)
