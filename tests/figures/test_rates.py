"""Stability, accuracy and their correlation by iterative rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gst.analysis.statistics import bootstrap_interval
from gst.figures.rates import Rates


@pytest.fixture
def table(tables):
    own = tables["stability"]
    return Rates.summarise(own["runs"], own["correlations"])


def test_means_by_target_and_rate(tables, table) -> None:
    runs = tables["stability"]["runs"]
    own = table.query("quantity == 'stability' and series == 'S'")
    assert own["iterative_rate"].tolist() == [2.0, 12.5]
    expected = [
        bootstrap_interval(runs.query("method == @name")["stability"])
        for name in ("s-slow", "s-fast")
    ]
    np.testing.assert_allclose(own[["value", "low", "high", "n"]], expected)
    dense = table.query("quantity == 'accuracy' and series == 'none'").set_index("protocol")
    none = runs[runs["method"] == "none"]
    assert dense.loc["published", "value"] == pytest.approx(none["best_test_accuracy"].mean())
    assert dense.loc["clean", "value"] == pytest.approx(1 - none["test_error"].mean())
    # Pruning before training has no rate.
    assert set(table["series"]) == {"S", "R", "L", "none", "pearson", "kendall", "partial"}


def test_correlations_at_each_rate_of_several_targets(tables, table) -> None:
    own = table.query("quantity == 'correlation' and protocol == 'published'").set_index("series")
    assert set(own["iterative_rate"]) == {12.5}
    runs = tables["stability"]["runs"].query("iterative_rate == 12.5")
    found = stats.pearsonr(runs["stability"], runs["best_test_accuracy"])
    assert own.loc["pearson", "value"] == pytest.approx(found.statistic)
    assert own.loc["pearson", "p"] == pytest.approx(found.pvalue)
    assert own.loc["pearson", "n"] == 12
    assert (
        f"Pearson r of stability and accuracy (as published) by rate: 12% = {found.statistic:.2f} ["
        in Rates.caption(table)
    )


def test_panels(table) -> None:
    stability, published, clean, correlation = Rates.draw(table).axes
    assert stability.get_ylabel() == "Stability (%)"
    assert published.get_ylabel() == clean.get_ylabel() == "Test accuracy (%)"
    assert {ax.get_xscale() for ax in (stability, published, clean, correlation)} == {"log"}
    line = max(stability.lines, key=lambda got: len(got.get_xdata()))
    assert line.get_xdata().tolist() == [2.0, 12.5]
    level = table.query("quantity == 'accuracy' and series == 'none' and protocol == 'clean'")
    dashed = [got for got in clean.lines if got.get_linestyle() == "--"]
    assert dashed[0].get_ydata()[0] == pytest.approx(100 * level["value"].item())
    points = [got for got in correlation.lines if got.get_marker() in "os" and len(got.get_xdata())]
    assert len(points) == 4  # two statistics under two protocols


def test_one_target_has_no_correlation_to_show(tables) -> None:
    own = tables["stability"]
    runs = own["runs"].query("target != 'R' and target != 'L'")
    table = Rates.summarise(runs, own["correlations"].iloc[:0])
    assert "no rate with several targets" in Rates.draw(table).axes[3].texts[0].get_text()
    assert "Pearson" not in Rates.caption(table)


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_replicates_have_no_intervals(tables, seeds: int) -> None:
    own = tables["stability"]
    table = Rates.summarise(own["runs"].query("seed < @seeds"), own["correlations"].iloc[:0])
    assert table["low"].isna().all()
    Rates.draw(table).draw_without_rendering()
    assert "nan" not in Rates.caption(table)
