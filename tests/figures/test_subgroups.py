"""Change of the training loss by influence of the examples."""

from __future__ import annotations

import numpy as np

from gst.figures.subgroups import Subgroups


def test_subgroups(tables) -> None:
    own = tables["regularization"]
    table = Subgroups.summarise(own["subgroups"], own["el2n"])
    assert table["percentile_high"].max() == 100
    figure = Subgroups.draw(table)
    assert [axes.get_title().split("\n")[1] for axes in figure.axes] == [
        "no label noise, optimal sparsity",
        "no label noise, sparsest better than dense",
        "label noise, optimal sparsity",
    ]
    (curve,) = [got for got in figure.axes[2].lines if len(got.get_xdata()) == 20]
    np.testing.assert_allclose(curve.get_xdata(), np.arange(2.5, 100, 5))
    np.testing.assert_allclose(curve.get_ydata(), [0.001] * 16 + [0.101] * 4)
    caption = Subgroups.caption(table)
    assert "no label noise, optimal sparsity: -0.099 nats" in caption
    assert "40% label noise, optimal sparsity: +0.101 nats" in caption
    stable = "0.80 between halves of 10 networks, hence 0.89 for all of them"
    assert f"toy-lenet, no label noise: {stable}; 0.88 between seeds." in caption
    assert f"toy-lenet, 40% label noise: {stable}." in caption


def test_no_sparse_network_to_show(tables) -> None:
    rows = tables["regularization"]["subgroups"]
    stable = tables["regularization"]["el2n"].assign(spearman_halves=np.nan)
    table = Subgroups.summarise(rows[rows["which"] == "optimal"].assign(level=0), stable)
    (axes,) = Subgroups.draw(table).axes
    assert "no sparse network" in axes.texts[0].get_text()
    assert "no sparse network is better" in Subgroups.caption(table)
    assert "halves" not in Subgroups.caption(table)
