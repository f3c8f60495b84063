"""Accuracy during training, and stability against accuracy and the gap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gst.analysis.statistics import partial
from gst.figures.stability import CROWD, Accuracy, Curves, Gap


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
    assert late.get_ylim()[0] > 50
    caption = Curves.caption(table)
    assert "is that of l-fast at epoch 2" in caption
    assert "n = 4" in caption


def test_many_variants_share_several_panels_with_the_reference(tables) -> None:
    one = tables["stability"]["curves"].query("method == 's-fast'")
    none = tables["stability"]["curves"].query("method == 'none'")
    names = [f"{kind}-{n}" for kind in "lrs" for n in range(1, 8)]
    curves = pd.concat([none, *(one.assign(method=name) for name in names)])
    figure = Curves.draw(Curves.summarise(curves))
    panels = figure.axes[::2]
    assert [len(axes.lines) for axes in panels] == [CROWD + 1] * 3
    for axes in panels:
        assert axes.lines[-1].get_linestyle() == "--"  # the reference, on top
    assert len({axes.get_ylim() for axes in figure.axes[1::2]}) == 1
    ten = pd.concat([none, *(one.assign(method=f"v{n}") for n in range(9))])
    assert [len(ax.lines) for ax in Curves.draw(Curves.summarise(ten)).axes[::2]] == [6, 5]


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
        given = partial(runs["stability"][pruned], accuracy[pruned], runs["target"][pruned]).r
        assert f"r={r:.2f}" in text
        assert f"r|target={given:.2f}" in text
        assert f"\u03c4={tau:.2f}" in text
        assert "n=16" in text


def test_captions_give_both_correlations(tables) -> None:
    caption = Accuracy.caption(Accuracy.summarise(tables["stability"]["runs"]))
    assert "over the 16 runs pruned or noised while training" in caption
    assert "over the 12 runs of s-slow, s-fast and l-fast" in caption
    assert "over the 24 runs in all" in caption
    assert caption.count("Kendall tau") == caption.count("r given the target") == 6


def test_one_target_needs_no_partial_correlation(tables) -> None:
    runs = tables["stability"]["runs"].query("method in ('s-slow', 's-fast')")
    table = Accuracy.summarise(runs)
    assert "target" not in Accuracy.caption(table).split(Accuracy.introduction)[1]
    assert "target" not in Accuracy.draw(table).axes[0].texts[0].get_text()


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
