"""Test error against weights and epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.statistics import bootstrap_interval
from gst.figures.errors import ErrorEpochs, ErrorWeights


def lines(axes, marker: str, length: int):
    """The one line of a panel with this marker and number of points, for each colour."""
    return [
        got for got in axes.lines if got.get_marker() == marker and len(got.get_xdata()) == length
    ]


def test_error_against_weights(tables) -> None:
    own = tables["regularization"]
    table = ErrorWeights.summarise(own["runs"], own["selected"])
    level = table[(table["noise"] == 40) & (table["level"] == 2)].iloc[0]
    errors = own["runs"].query("noise == 40 and method == 'pruned' and level == 2")["test_error"]
    found = tuple(level[["mean", "low", "high", "n"]])
    assert found == pytest.approx(bootstrap_interval(errors))
    best = table[table["optimal"]].set_index("noise")["level"].to_dict()
    assert best == {0.0: 1, 40.0: 4}

    (axes,) = ErrorWeights.draw(table).axes
    assert axes.get_xscale() == "log"
    left, right = axes.get_xlim()
    assert left > right  # sparser to the right
    assert axes.get_xlabel() == "Weights remaining (%)"
    assert axes.get_ylabel() == "Test error (%)"
    curves = lines(axes, "s", 7)
    assert len(curves) == 2
    np.testing.assert_allclose(curves[1].get_xdata(), [100 * 0.4**k for k in range(7)])
    noisy = table[(table["noise"] == 40)].sort_values("level")
    np.testing.assert_allclose(curves[1].get_ydata(), 100 * noisy["mean"])
    star = lines(axes, "*", 1)[1]
    assert star.get_xdata()[0] == pytest.approx(100 * 0.4**4)
    dashed = [got for got in axes.lines if got.get_linestyle() == "--"]
    dense = table[(table["method"] == "dense") & (table["noise"] == 40)]["mean"].item()
    assert dashed[1].get_ydata()[0] == pytest.approx(100 * dense)
    band = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(100 * noisy["low"].min())
    assert band.max() == pytest.approx(100 * noisy["high"].max())


def test_error_against_epochs(tables) -> None:
    own = tables["regularization"]
    table = ErrorEpochs.summarise(own["runs"], own["selected"])
    assert set(table["method"]) == {"dense", "pruned", "extended"}
    (axes,) = ErrorEpochs.draw(table).axes
    assert axes.get_xscale() == "linear"
    assert "epochs" in axes.get_xlabel()
    for marker in ("s", "o"):
        assert lines(axes, marker, 7)[0].get_xdata().tolist() == [*range(10, 80, 10)]


def test_the_caption_states_the_optimum(tables) -> None:
    own = tables["regularization"]
    errors = own["runs"][own["runs"]["noise"] == 40].groupby(["method", "level"])["test_error"]
    dense, best = (f"{100 * errors.mean()[key]:.1f}%" for key in (("dense", 0), ("pruned", 4)))
    caption = ErrorWeights.caption(ErrorWeights.summarise(own["runs"], own["selected"]))
    assert f"toy-lenet, 40% label noise: dense {dense} [" in caption
    assert f"best pruned {best} [" in caption
    assert "at 2.6% of the weights" in caption
    assert "n = 3" in caption


def test_diverged_replicates_are_counted(tables) -> None:
    own = tables["regularization"]
    runs = own["runs"].copy()
    lost = (runs["method"] == "pruned") & (runs["level"] == 2) & (runs["seed"] == 1)
    runs.loc[lost, "test_error"] = np.nan
    table = ErrorWeights.summarise(runs, own["selected"])
    gap = table[(table["level"] == 2)]
    assert gap["n"].tolist() == [2, 2]
    assert gap["missing"].tolist() == [1, 1]
    caption = ErrorWeights.caption(table)
    assert "2 values of diverged replicates are left out" in caption
    assert "n = 2 to 3" in caption
    ErrorWeights.draw(table)


def test_where_dense_is_best_the_star_is_on_it(tables) -> None:
    runs = tables["regularization"]["runs"].copy()
    chosen = tables["regularization"]["selected"]
    chosen = chosen[(chosen["which"] != "optimal")]
    dense = chosen[chosen["which"] == "dense"].assign(which="optimal")
    table = ErrorWeights.summarise(runs, pd.concat([chosen, dense]))
    assert table[table["optimal"]]["level"].tolist() == [0, 0]
    assert "which no other level improves" in ErrorWeights.caption(table)
