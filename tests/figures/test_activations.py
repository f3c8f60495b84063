"""Normalised activations against the standard normal distribution."""

from __future__ import annotations

import numpy as np
import pytest

from gst.figures.activations import Activations


def test_densities_and_distances(tables) -> None:
    table = Activations.summarise(tables["stability"]["activations"])
    ks = table[table["quantity"] == "ks"].set_index(["state", "depth"])
    assert ks.loc[("trained", 3), "layer"] == "norm8"  # the order of the file, not of the names
    assert ks.loc[("trained", 3), "mean"] == pytest.approx(0.21)
    assert ks.loc[("untrained", 3), "mean"] == pytest.approx(0.01)
    untrained, trained, distance = Activations.draw(table).axes
    normal = untrained.lines[-1]
    assert normal.get_linestyle() == "--"
    np.testing.assert_allclose(normal.get_ydata().max(), 1 / np.sqrt(2 * np.pi))
    peaks = [line.get_xdata()[np.argmax(line.get_ydata())] for line in trained.lines[:3]]
    np.testing.assert_allclose(peaks, [0, 0.2, 0.4], atol=0.11)
    drawn = [line for line in distance.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(drawn[1].get_ydata(), [0.01, 0.11, 0.21])
    caption = Activations.caption(table)
    assert "trained: from 0.01 [0.00, 0.02] (norm10) to 0.21 [0.20, 0.22] (norm8)" in caption


def test_one_replicate_has_no_intervals(tables) -> None:
    table = Activations.summarise(tables["stability"]["activations"].query("seed == 0"))
    Activations.draw(table).draw_without_rendering()
    assert "nan" not in Activations.caption(table)
