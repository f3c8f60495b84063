"""The levels that both protocols choose."""

from __future__ import annotations

import numpy as np
import pytest

from gst.figures.selection import Selection


def test_both_protocols_stand_side_by_side(tables) -> None:
    chosen = tables["regularization"]["selected"]
    table = Selection.summarise(chosen)
    for which in ("optimal", "sparsest-better"):
        query = "noise == 40 and method == 'pruned' and protocol == 'clean'"
        row = table.query(f"{query} and which == '{which}'").iloc[0]
        errors = chosen.query(query).pivot(index="seed", columns="which", values="test_error")
        assert row["mean"] == pytest.approx((errors["dense"] - errors[which]).mean())
        assert row["dense_error"] == pytest.approx(errors["dense"].mean())
        assert row["error"] == pytest.approx(errors[which].mean())
        levels = chosen.query(f"{query} and which == '{which}'")["level"]
        assert {row["level"]} == set(levels)
    axes = Selection.draw(table).axes
    assert [each.get_title() for each in axes] == [
        "toy-lenet\noptimal level",
        "toy-lenet\nsparsest level better than dense",
        "toy-lenet\nweights of the sparsest better level",
    ]

    def heights(panel) -> list[float]:
        found = [line for line in panel.lines if line.get_marker() in ("s", "o", "^")]
        return sorted(y for line in found for y in line.get_ydata())

    optimal, sparsest = (table[table["which"] == name] for name in ("optimal", "sparsest-better"))
    np.testing.assert_allclose(heights(axes[0]), sorted(100 * optimal["mean"]))
    np.testing.assert_allclose(heights(axes[1]), sorted(100 * sparsest["mean"]))
    np.testing.assert_allclose(heights(axes[2]), sorted(100 * sparsest["weights_remaining"]))
    caption = Selection.caption(table)
    assert "clean (open), it is chosen on one half of the test set" in caption
    assert "the sparsest level better than dense lowers the error by" in caption


def test_no_level_may_be_better(tables) -> None:
    chosen = tables["regularization"]["selected"]
    table = Selection.summarise(chosen[chosen["which"] != "sparsest-better"])
    _, sparsest, weights = Selection.draw(table).axes
    for panel in (sparsest, weights):
        assert "no level is" in panel.texts[0].get_text()
    assert "there is no sparsest level better than dense" in Selection.caption(table)


def test_replicates_that_agree_have_intervals_of_no_width(tables) -> None:
    """Sums in floats differ in their last bits, which must not turn an error bar round."""
    chosen = tables["regularization"]["selected"].copy()
    chosen["test_error"] = np.where(chosen["which"] == "dense", 0.3, 0.1)
    table = Selection.summarise(chosen)
    assert (table["low"] <= table["mean"]).all()
    Selection.draw(table)
