"""What the figures of left out examples plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.statistics import bootstrap_interval
from gst.figures.leave_out import PRUNED, LeavingOut, Pictures, picture


def test_errors_are_held_against_dense_seed_by_seed(tables) -> None:
    given = tables["regularization"]["left_out"]
    table = LeavingOut.summarise(given)
    own = given[(given["noise"] == 40) & (given["by"] == "misclassified")]
    expected = bootstrap_interval(own["test_error"] - own["test_error_dense"])
    row = table[(table["noise"] == 40) & table["left_out"].str.contains("misclassifies")]
    assert tuple(row[["mean", "low", "high", "n"]].iloc[0]) == pytest.approx(expected)
    pruned = table[table["left_out"] == PRUNED]
    assert pruned["mean"].tolist() == pytest.approx([-0.02, -0.02])
    assert pruned["n"].tolist() == [3, 3]


def test_one_point_for_each_kind_and_noise(tables) -> None:
    table = LeavingOut.summarise(tables["regularization"]["left_out"])
    (axes,) = LeavingOut.draw(table).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0].startswith("the 20%") and labels[-1] == PRUNED
    assert [label for label in labels if "random" in label] == ["a random 5%", "a random 20%"]
    for container, noise in zip(axes.containers, (0.0, 40.0), strict=True):
        x, y = container[0].get_data()
        own = table[table["noise"] == noise]
        np.testing.assert_allclose(x, 100 * own["mean"])
        assert sorted(np.round(y).astype(int)) == list(range(6))
    assert "percentage points" in axes.get_xlabel()


def test_captions_name_effects_and_wrong_labels(tables) -> None:
    own = tables["regularization"]
    text = LeavingOut.caption(LeavingOut.summarise(own["left_out"]))
    assert (
        "those that the pruned network misclassifies (20.0% of all, 50.0% of them wrongly" in text
    )
    assert "nothing, but pruned -2.00" in text
    text = Pictures.caption(Pictures.summarise(own["pictures"]))
    assert "40% label noise, level 4, n = 1: 5 of 10 labels were made wrong." in text
    assert "no label noise, level 4, n = 3." in text


def test_pictures_show_the_images_with_their_labels(tables) -> None:
    table = Pictures.summarise(tables["regularization"]["pictures"])
    figure = Pictures.draw(table)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == len(table) == 20
    np.testing.assert_array_equal(shown[0].images[0].get_array(), np.arange(16).reshape(4, 4))
    titles = [axes.get_title() for axes in shown]
    assert titles[0] == "dog\n0.1 → 1.9"
    assert titles[10] == "cat\n(was dog)\n0.1 → 1.9"


def test_channels() -> None:
    size = {"height": 1, "width": 2}
    for channels, data, expected in (
        (1, [1, 2], [[1, 2]]),
        (2, [0, 2, 4, 8], [[2, 5]]),
        (3, [1, 2, 3, 4, 5, 6], [[[1, 3, 5], [2, 4, 6]]]),
    ):
        row = pd.Series({**size, "channels": channels, "pixels": bytes(data).hex()})
        assert picture(row).tolist() == expected
