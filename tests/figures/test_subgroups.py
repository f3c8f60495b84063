"""Change of the training loss by influence of the examples."""

from __future__ import annotations

import numpy as np

from gst.figures.subgroups import Subgroups, SubgroupsLevels, SubgroupsWidth


def test_subgroups(tables) -> None:
    own = tables["regularization"]
    table = Subgroups.summarise(own["subgroups"], own["el2n"])
    assert table["percentile_high"].max() == 100
    figure = Subgroups.draw(table)
    assert [axes.get_title().split("\n")[1] for axes in figure.axes] == [
        "no label noise, optimal sparsity",
        "no label noise, sparsest better level",
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
    clean, noisy = Subgroups.draw(table).axes
    assert "no label noise" in clean.get_title() and "\nlabel noise" in noisy.get_title()
    for axes in (clean, noisy):
        assert "no sparse network" in axes.texts[0].get_text()
    assert "no sparse network is better" in Subgroups.caption(table)
    assert "halves" not in Subgroups.caption(table)


def test_narrower_networks_stand_beside_pruned_ones(tables) -> None:
    own = tables["regularization"]["subgroups"]
    table = SubgroupsWidth.summarise(own)
    assert set(table["method"]) == {"pruned", "width"}
    pruned, width = SubgroupsWidth.draw(table).axes
    assert pruned.get_ylim() == width.get_ylim()
    curves = {
        axes: [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 20]
        for axes in (pruned, width)
    }
    noisy = own.query(
        "noise == 40 and method == 'pruned' and which == 'optimal' and protocol == 'published'"
    )
    np.testing.assert_allclose(
        curves[pruned][1], noisy.groupby("group")["loss_difference"].mean().to_numpy()
    )
    assert len(curves[width]) == 2
    caption = SubgroupsWidth.caption(table)
    assert "40% label noise: pruned at level 4 +0.101 nats on the most influential fifth" in caption


def test_more_levels(tables) -> None:
    table = SubgroupsLevels.summarise(tables["regularization"]["subgroup_levels"])
    assert sorted(set(table["level"])) == [1, 2, 4, 5, 6]
    assert set(table["method"]) == {"pruned", "extended"}
    figure = SubgroupsLevels.draw(table)
    assert [axes.get_title() for axes in figure.axes] == [
        f"toy-lenet, {method}\n{noise}"
        for method in ("pruned", "extended")
        for noise in ("no label noise", "40% label noise")
    ]
    for axes in figure.axes:
        curves = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 20]
        expected = [[0.01 * group * level + 0.001 for group in range(1, 21)] for level in (1, 2, 4)]
        np.testing.assert_allclose(curves[:3], expected)
    caption = SubgroupsLevels.caption(table)
    # Groups 17 to 20, and 1 to 16, at level 2; each with the mean over seeds of 0.001 times them.
    assert "+0.371 and +0.171 at 16% of the weights" in caption
    assert "+0.371 and +0.171 at 30 epochs" in caption
