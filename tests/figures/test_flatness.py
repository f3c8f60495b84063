"""Flatness against stability and accuracy, spectra, and losses along eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gst.figures.flatness import Flatness, Scans, Spectra


def test_flatness(tables) -> None:
    flatness = tables["stability"]["flatness"]
    table = Flatness.summarise(flatness)
    assert (table["measure"] == "tic").sum() == 36  # the missing values are left out
    figure = Flatness.draw(table)
    above, below = figure.axes[:4], figure.axes[4:]
    names = ["Tr(H)", "Tr(C)", "Tr(C) / Tr(H)", "epsilon"]
    assert [axes.get_ylabel() for axes in above] == names
    assert [axes.get_xlabel() for axes in below] == names
    assert {axes.get_xlabel() for axes in above} == {"Stability (%)"}
    assert {axes.get_ylabel() for axes in below} == {"Test accuracy (%)"}
    assert above[0].get_yscale() == below[0].get_xscale() == "log"
    assert above[1].get_yscale() == "linear"
    # Published: test images. Their Tr(H) is at least 10, that of training images at most 4.
    heights = [y for line in above[0].lines for y in line.get_ydata()]
    assert min(heights) >= 10
    test = flatness[flatness["split"] == "test"]
    r = stats.pearsonr(test["stability"], test["trace_top"])[0]
    assert f"r={r:.2f}" in above[0].texts[0].get_text()
    assert "n=18" in above[2].texts[0].get_text()
    caption = Flatness.caption(table)
    assert f"Tr(H): with stability Pearson r = {r:.2f}" in caption
    assert "4 values of epsilon are at the end of the scan" in caption


def test_flatness_on_training_images_alone(tables) -> None:
    flatness = tables["stability"]["flatness"]
    table = Flatness.summarise(flatness[flatness["split"] == "train"])
    assert "measured on train images" in Flatness.caption(table)


def test_spectra(tables) -> None:
    spectra = tables["stability"]["spectra"]
    table = Spectra.summarise(spectra)
    top = table.query("split == 'test' and method == 'none'").sort_values("rank")
    np.testing.assert_allclose(top["mean"], [51.5 / rank**2 for rank in range(1, 6)])
    assert top["negative"].tolist() == [0, 0, 0, 0, 1]
    assert set(top["n"]) == {4}
    test, train = Spectra.draw(table).axes
    assert "as published" in test.get_title()
    assert "training" in train.get_title()
    assert len(test.lines) == 6
    np.testing.assert_allclose(test.lines[-1].get_ydata(), top["mean"])
    assert "largest none 51.5 [" in Spectra.caption(table)
    assert "20.0% of the 5 shown are negative" in Spectra.caption(table)


def test_scans_take_both_signs_as_directions(tables) -> None:
    table = Scans.summarise(tables["stability"]["scans"])
    own = table.query("split == 'test' and method == 'none'").set_index(["kind", "distance"])
    # Rises of (2, 1) step^2 to the right and twice that to the left.
    assert own.loc[("worst", 0.4), "mean"] == pytest.approx(4 * 0.16)
    assert own.loc[("mean", 0.4), "mean"] == pytest.approx((4 + 2 + 2 + 1) / 4 * 0.16)
    assert own.loc[("worst", 0.0), "mean"] == 0
    assert own.loc[("mean", 0.2), "low"] == pytest.approx(9 / 4 * 0.04)  # all seeds rise alike
    assert set(table["directions"]) == {2}
    figure = Scans.draw(table)
    assert len(figure.axes) == 4
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}
    assert "mean rise at 0.4 along the 2 leading directions" in Scans.caption(table)


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_replicates_have_no_intervals(tables, seeds: int) -> None:
    own = {
        name: table[table["seed"] < seeds]
        for name, table in tables["stability"].items()
        if "seed" in table
    }
    for kind, name in ((Spectra, "spectra"), (Scans, "scans")):
        table = kind.summarise(own[name])
        assert table["low"].isna().all()
        kind.draw(table).draw_without_rendering()
        assert "nan" not in kind.caption(table)
