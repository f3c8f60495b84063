"""What the figures of the regularization study plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.statistics import bootstrap_interval
from gst.figures.leave_out import LeavingOut
from gst.figures.regularization import (
    Ablations,
    ErrorEpochs,
    ErrorWeights,
    Losses,
    Selection,
    Subgroups,
)


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


def test_every_way_to_prune_is_a_line(tables) -> None:
    own = tables["regularization"]
    table = Ablations.summarise(own["runs"], own["selected"])
    assert set(table["method"]) == {"dense", "pruned", "rewound", "random"}
    clean, noisy = Ablations.draw(table).axes
    assert [axes.get_title() for axes in (clean, noisy)] == [
        "toy-lenet\nno label noise",
        "toy-lenet\n40% label noise",
    ]
    for axes, noise in ((clean, 0), (noisy, 40)):
        cell = table[table["noise"] == noise]
        means = cell.set_index(["method", "level"])["mean"]
        curves = {tuple(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 7}
        assert curves == {
            tuple(100 * means[[("dense", 0), *((method, k) for k in range(1, 7))]])
            for method in ("pruned", "rewound", "random")
        }
        dense = cell[cell["method"] == "dense"].iloc[0]
        (band,) = axes.patches
        assert band.get_y() == pytest.approx(100 * dense["low"])
        assert band.get_height() == pytest.approx(100 * (dense["high"] - dense["low"]))
    assert "best rewound 39.0% [" in Ablations.caption(table)
    other = table[table["noise"] == 40].assign(benchmark="other", noise=15.0)
    titles = [axes.get_title() for axes in Ablations.draw(pd.concat([table, other])).axes]
    assert titles == [clean.get_title(), noisy.get_title(), "other\n15% label noise"]


def test_losses_of_both_kinds_of_examples(tables) -> None:
    own = tables["regularization"]
    table = Losses.summarise(own["runs"], own["selected"])
    assert set(table[table["noise"] == 0]["examples"]) == {"original"}
    (axes,) = Losses.draw(table).axes
    solid = [g for g in axes.lines if g.get_linestyle() == "-" and len(g.get_xdata()) == 7]
    (noisy,) = solid
    np.testing.assert_allclose(noisy.get_ydata(), [0.11 + 0.5 * k for k in range(7)])
    assert axes.get_ylabel() == "Mean training loss (nats)"
    assert "from 0.11 to 2.11" in Losses.caption(table)
    assert "from 0.02 to 0.42" in Losses.caption(table)


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


def test_both_protocols_stand_side_by_side(tables) -> None:
    chosen = tables["regularization"]["selected"]
    table = Selection.summarise(chosen)
    row = table.query("noise == 40 and method == 'pruned' and protocol == 'clean'").iloc[0]
    own = chosen.query("noise == 40 and method == 'pruned' and protocol == 'clean'")
    errors = own.pivot(index="seed", columns="which", values="test_error")
    assert row["mean"] == pytest.approx((errors["dense"] - errors["optimal"]).mean())
    assert row["dense_error"] == pytest.approx(errors["dense"].mean())
    (axes,) = Selection.draw(table).axes
    points = [got for got in axes.lines if got.get_marker() in "so^" and len(got.get_xdata()) == 1]
    assert len(points) == len(table) == 12
    heights = sorted(got.get_ydata()[0] for got in points)
    np.testing.assert_allclose(heights, sorted(100 * table["mean"]))


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_replicates_have_no_intervals(tables, seeds: int) -> None:
    own = {
        name: table[table["seed"] < seeds]
        for name, table in tables["regularization"].items()
        if "seed" in table
    }
    for kind, names in (
        (ErrorWeights, ("runs", "selected")),
        (Losses, ("runs", "selected")),
        (Subgroups, ("subgroups", "el2n")),
        (Ablations, ("runs", "selected")),
        (Selection, ("selected",)),
        (LeavingOut, ("left_out",)),
    ):
        table = kind.summarise(**{name: own[name] for name in names})
        assert table["low"].isna().all()
        kind.draw(table).draw_without_rendering()
        assert f"n = {seeds}" in kind.caption(table)
        assert "nan" not in kind.caption(table)


def test_replicates_that_agree_have_intervals_of_no_width(tables) -> None:
    """Sums in floats differ in their last bits, which must not turn an error bar round."""
    chosen = tables["regularization"]["selected"].copy()
    chosen["test_error"] = np.where(chosen["which"] == "dense", 0.3, 0.1)
    table = Selection.summarise(chosen)
    assert (table["low"] <= table["mean"]).all()
    Selection.draw(table)
