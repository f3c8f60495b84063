"""Other ways to prune."""

from __future__ import annotations

import pandas as pd
import pytest

from gst.figures.ablations import Ablations


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
