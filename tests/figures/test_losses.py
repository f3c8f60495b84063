"""Training loss of original and noisy examples."""

from __future__ import annotations

import numpy as np

from gst.figures.losses import Losses


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
