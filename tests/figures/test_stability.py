"""What the figures of the stability study plot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gst.figures.stability import Accuracy, Curves, Flatness, Gap


def test_curves_drop_at_pruning_events(tables) -> None:
    curves = tables["stability"]["curves"]
    table = Curves.summarise(curves)
    own = table[table["method"] == "s-fast"]
    assert own["epoch"].tolist() == [0, 1, 2, 2, 3, 4, 5, 6]
    assert own["moment"].tolist() == ["trained"] * 3 + ["pruned"] + ["trained"] * 4
    assert own["mean"].iloc[3] == pytest.approx(0.3)
    before = curves[(curves["method"] == "s-fast") & (curves["epoch"] == 2)]["test_accuracy"]
    assert own["mean"].iloc[2] == pytest.approx(before.mean())

    whole, late = Curves.draw(table).axes
    assert whole.get_xlabel() == "Finished epochs"
    assert whole.get_ylabel() == "Test accuracy (%)"
    assert sorted(len(line.get_xdata()) for line in whole.lines) == [7, 7, 8, 8, 8, 8]
    drop = next(line for line in whole.lines if len(line.get_xdata()) == 8)
    assert drop.get_xdata()[2:4].tolist() == [2, 2]
    assert drop.get_ydata()[3] == pytest.approx(30)
    assert all(min(line.get_xdata()) >= 3 for line in late.lines)
    caption = Curves.caption(table)
    assert "is that of l-fast at epoch 2" in caption
    assert "n = 4" in caption


def test_variants_without_pruning_have_no_drop(tables) -> None:
    curves = tables["stability"]["curves"]
    table = Curves.summarise(curves[curves["method"] == "none"])
    assert "deepest" not in Curves.caption(table)
    Curves.draw(table)


def test_stability_against_accuracy(tables) -> None:
    runs = tables["stability"]["runs"]
    table = Accuracy.summarise(runs)
    published, clean = Accuracy.draw(table).axes
    assert "as published" in published.get_title()
    assert "final epoch" in clean.get_title()
    for axes, accuracy in (
        (published, runs["best_test_accuracy"]),
        (clean, 1 - runs["test_error"]),
    ):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("Stability (%)", "Test accuracy (%)")
        clouds = [line for line in axes.lines if line.get_linestyle() == "None"]
        drawn = np.concatenate([line.get_xydata() for line in clouds if len(line.get_xdata()) == 4])
        expected = np.stack([100 * runs["stability"], 100 * accuracy], axis=1)
        np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))
        # Runs without pruning are shown, but are 100% stable by definition: they do not count.
        pruned = runs["events"] > 0
        r = stats.pearsonr(runs["stability"][pruned], accuracy[pruned])[0]
        tau = stats.kendalltau(runs["stability"][pruned], accuracy[pruned])[0]
        text = axes.texts[0].get_text()
        assert f"r={r:.2f}" in text
        assert f"\u03c4={tau:.2f}" in text
        assert "n=16" in text


def test_captions_give_both_correlations(tables) -> None:
    caption = Accuracy.caption(Accuracy.summarise(tables["stability"]["runs"]))
    assert "over the 16 runs pruned while training" in caption
    assert "over the 24 runs in all" in caption
    assert caption.count("Kendall tau") == 4


def test_the_gap_of_both_protocols(tables) -> None:
    runs = tables["stability"]["runs"]
    table = Gap.summarise(runs)
    values = table.groupby("protocol")["value"].apply(list)
    np.testing.assert_allclose(values["published"], runs["gap"])
    np.testing.assert_allclose(values["clean"], runs["test_error"])  # train accuracy is 1
    assert "percentage points" in Gap.draw(table).axes[0].get_ylabel()


def test_diverged_runs_are_no_points(tables) -> None:
    runs = tables["stability"]["runs"].copy()
    runs.loc[0, ["stability", "best_test_accuracy", "test_error"]] = np.nan
    assert len(Accuracy.summarise(runs)) == 2 * (len(runs) - 1)


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
    assert f"Tr(H): with stability r = {r:.2f}" in caption
    assert "4 values of epsilon are at the end of the scan" in caption


def test_flatness_on_training_images_alone(tables) -> None:
    flatness = tables["stability"]["flatness"]
    table = Flatness.summarise(flatness[flatness["split"] == "train"])
    assert "measured on train images" in Flatness.caption(table)
