"""Accuracy with temporary noise in place of pruning."""

from __future__ import annotations

import numpy as np
import pytest

from gst.figures.noise import Noise


@pytest.fixture
def table(tables):
    own = tables["noise"]
    return Noise.summarise(own["curves"], own["runs"])


def test_a_row_for_each_kind_of_noise(table) -> None:
    axes = Noise.draw(table).axes
    assert len(axes) == 6
    assert ["zeroing" in ax.get_title() for ax in axes] == [True] * 3 + [False] * 3
    whole = axes[0]
    # Of each kind, beside the references: none and l-fast.
    assert len(whole.lines) == 4
    assert len(axes[3].lines) == 5
    assert sum(line.get_linestyle() == "--" for line in whole.lines) == 2


def test_accuracy_by_duration(tables, table) -> None:
    end = Noise.draw(table).axes[5]
    assert end.get_xscale() == "log"
    assert end.get_xlabel() == "Training batches that see the noise"
    chains = [line for line in end.lines if len(line.get_xdata()) == 3]
    runs = tables["noise"]["runs"]
    means = (
        runs[runs["intervention"] == "gaussian"]
        .groupby("batches")[["best_test_accuracy", "test_error"]]
        .mean()
    )
    np.testing.assert_allclose(chains[0].get_ydata(), 100 * means["best_test_accuracy"])
    np.testing.assert_allclose(chains[1].get_ydata(), 100 * (1 - means["test_error"]))
    levels = [
        line.get_ydata()[0]
        for line in end.lines
        if len(set(line.get_xdata())) == 2 and line.get_xdata()[0] == 0
    ]
    expected = runs[runs["batches"].isna()].groupby("method")["best_test_accuracy"].mean()
    assert set(np.round(100 * expected, 6)) <= set(np.round(levels, 6))


def test_benchmarks_without_noise_are_left_out(tables) -> None:
    with pytest.raises(ValueError, match="no run has temporary noise"):
        Noise.summarise(tables["stability"]["curves"], tables["stability"]["runs"])


def test_the_caption_names_both_protocols(table) -> None:
    caption = Noise.caption(table)
    assert "toy-noise, best epoch, as published: none" in caption
    assert "toy-noise, final epoch: none" in caption
    assert "n = 4" in caption


def test_two_replicates_have_no_intervals(tables) -> None:
    own = {name: tables["noise"][name].query("seed < 2") for name in ("curves", "runs")}
    table = Noise.summarise(**own)
    Noise.draw(table).draw_without_rendering()
    assert "nan" not in Noise.caption(table)
