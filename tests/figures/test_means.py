"""All variants in all that is measured."""

from __future__ import annotations

import numpy as np
import pytest

from gst.figures.means import PANELS, Means


def test_a_point_a_variant_in_each_panel(tables) -> None:
    runs = tables["stability"]["runs"]
    table = Means.summarise(runs)
    axes = Means.draw(table).axes
    assert [ax.get_xlabel() for ax in axes] == [panel.label for panel in PANELS]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == [
        "none",
        "scratch",
        "s-slow",
        "s-fast",
        "r-fast",
        "l-fast",
    ]
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1]  # the first on top
    by_label = dict(zip((panel.measure for panel in PANELS), axes, strict=True))
    gap = runs["train_accuracy"] - (1 - runs["test_error"])
    for measure, values in (
        ("stability", 100 * runs["stability"]),
        ("test_loss", runs["test_loss"]),
        ("final_gap", 100 * gap),
    ):
        points = [line for line in by_label[measure].lines if len(line.get_xdata()) == 1]
        found = {line.get_ydata()[0]: line.get_xdata()[0] for line in points}
        means = values.groupby(runs["method"], sort=False).mean()
        np.testing.assert_allclose([found[k] for k in range(6)], means)
    # Two counts of parameters.
    removed = by_label["reduction_own"]
    at = sorted(line.get_xdata()[0] for line in removed.lines if len(line.get_xdata()) == 1)
    np.testing.assert_allclose(at, [0] * 4 + [40] * 4 + [50] * 4)


def test_runs_without_events_recover_from_nothing(tables) -> None:
    table = Means.summarise(tables["stability"]["runs"])
    assert set(table[table["measure"] == "recovery_epochs"]["method"]) == {
        "s-slow",
        "s-fast",
        "r-fast",
        "l-fast",
    }
    assert not table["missing"].any()


def test_diverged_replicates_are_counted(tables) -> None:
    runs = tables["stability"]["runs"].copy()
    lost = (runs["method"] == "s-fast") & (runs["seed"] == 1)
    runs.loc[lost, ["stability", "recovery_epochs"]] = np.nan
    table = Means.summarise(runs)
    assert table["missing"].sum() == 1
    assert "1 values of diverged replicates are left out" in Means.caption(table)


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_replicates_have_no_intervals(tables, seeds: int) -> None:
    table = Means.summarise(tables["stability"]["runs"].query("seed < @seeds"))
    assert table["low"].isna().all()
    Means.draw(table).draw_without_rendering()
    assert "nan" not in Means.caption(table)


def test_the_caption_names_the_ends(tables) -> None:
    caption = Means.caption(Means.summarise(tables["stability"]["runs"]))
    assert "best test accuracy, as published: none 81" in caption
    assert "least stable: l-fast" in caption
