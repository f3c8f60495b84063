"""Where pruning does as well as training as long."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.figures.matching import Matching

ERRORS = {
    "dense": {0: [0.30, 0.31, 0.32]},
    "extended": {1: [0.20, 0.21, 0.22], 2: [0.20, 0.21, 0.22], 3: [0.20, 0.21, 0.22]},
    "pruned": {1: [0.19, 0.21, 0.23], 2: [0.10, 0.11, 0.12], 3: [0.30, 0.31, 0.33]},
    "one-shot": {1: [0.21, 0.20, 0.22], 2: [0.4, 0.5, 0.6], 3: [0.4, 0.5, 0.6]},
}
"""Test errors by method and level; one-shot pruning always spends as long as level 1."""


def runs(seeds: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "benchmark": "toy",
            "noise": 15.0,
            "method": method,
            "intervention": "weights" if method in ("pruned", "one-shot") else "none",
            "level": level,
            "seed": seed,
            "weights_remaining": 0.5**level if method in ("pruned", "one-shot") else 1.0,
            "epochs_spent": 10 * (1 + (min(level, 1) if method == "one-shot" else level)),
            "test_error": errors[seed],
        }
        for method, levels in ERRORS.items()
        for level, errors in levels.items()
        for seed in range(seeds)
    )


def test_levels_are_held_against_extended_training_of_the_same_length() -> None:
    table = Matching.summarise(runs()).set_index(["method", "level"])
    assert table["verdict"].to_dict() == {
        ("dense", 0): "undecided",
        ("extended", 1): "undecided",
        ("extended", 2): "undecided",
        ("extended", 3): "undecided",
        ("pruned", 1): "matches",
        ("pruned", 2): "better",
        ("pruned", 3): "worse",
        ("one-shot", 1): "matches",
        ("one-shot", 2): "worse",
        ("one-shot", 3): "worse",
    }
    assert table.loc[("one-shot", 3), "difference"] == pytest.approx(0.5 - 0.21)


def test_what_matches_is_shaded() -> None:
    table = Matching.summarise(runs())
    (axes,) = Matching.draw(table).axes
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_width()) == (15, 10)
    (above,) = axes.child_axes
    assert above.get_xticks().tolist() == [10, 20, 30, 40]
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["100%", "50%", "25%", "12%"]
    # One-shot pruning is a column of points; the others start at the dense network.
    found = {tuple(line.get_xdata()): line for line in axes.lines if len(line.get_xdata()) > 2}
    assert set(found) == {(10, 20, 30, 40), (20, 20, 20)}
    assert found[20, 20, 20].get_linestyle() == "None"
    pruned = [line for line in axes.lines if line.get_marker() == "s"]
    np.testing.assert_allclose(pruned[0].get_ydata(), [31, 21, 11, 94 / 3])
    caption = Matching.caption(table)
    assert "toy, 15% label noise: pruned at 1 of 3 levels, down to 50% of the weights" in caption
    assert "one-shot at 1 of 3 levels, down to 50% of the weights" in caption


def test_too_few_seeds_decide_nothing() -> None:
    table = Matching.summarise(runs(seeds=2))
    assert set(table["verdict"]) == {"undecided"}
    (axes,) = Matching.draw(table).axes
    assert not axes.patches
    assert "matching rule" not in Matching.caption(table)
