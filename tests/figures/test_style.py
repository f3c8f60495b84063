"""Colours, axes, and the words of captions."""

from __future__ import annotations

import math
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from gst.analysis.statistics import pearson
from gst.figures import style, words


def luminance(colour: str) -> float:
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_shades_grow_lighter_and_stay_visible_on_white(count: int) -> None:
    found = style.shades(float(v) for v in range(count))
    lights = [luminance(colour) for colour in found.values()]
    assert lights == sorted(lights)
    assert len(set(found.values())) == count
    assert max(lights) < 0.75


def test_variants_look_the_same_in_every_study() -> None:
    some = style.variants(["l-fast", "none", "mine"])
    assert list(some) == ["none", "l-fast", "mine"]
    assert some["l-fast"] == style.variants(["s-slow", "l-fast"])["l-fast"]
    looks = style.variants([*style.VARIANTS, *(f"v{i}" for i in range(12))])
    assert len(set(looks.values())) == len(looks)


def test_variants_of_a_family_grow_darker_by_their_numbers() -> None:
    looks = style.variants(["zero-1105", "zero-1", "zero-50", "s-once", "s-200", "s-4"])
    assert list(looks) == ["s-4", "s-200", "s-once", "zero-1", "zero-50", "zero-1105"]
    for family in (list(looks)[:3], list(looks)[3:]):
        lights = [luminance(looks[name].colour) for name in family]
        assert lights == sorted(lights, reverse=True)
    assert looks["s-200"].colour == style.TARGETS["S"].lower()
    assert len({look.colour for look in looks.values()}) == 6


def test_drawing_leaves_the_users_settings_alone() -> None:
    def settings() -> dict:
        return {name: matplotlib.rcParams[name] for name in style.STYLE}

    before = settings()
    assert style.styled(settings)() == style.STYLE | {"font.family": ["DejaVu Sans"]}
    assert settings() == before


@pytest.mark.parametrize("low", [0.2, 0.01, 0.0005])
def test_weights_axis_has_a_few_readable_ticks(low: float) -> None:
    figure, axes = style.panels(["one"])
    (ax,) = axes.values()
    style.weights_axis(ax, pd.Series([1.0, low]))
    figure.canvas.draw()
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    shown = [
        text for text, at in zip(labels, ax.get_xticks(), strict=True) if 100 * low <= at <= 100
    ]
    assert 2 <= len(shown) <= 9
    assert "100" in shown
    assert all("e" not in text for text in shown)


def test_words() -> None:
    row = SimpleNamespace(mean=0.249, low=0.24, high=0.26)
    assert words.interval(row, 100, 1, "%") == "24.9% [24.0, 26.0]"
    assert words.interval(SimpleNamespace(mean=0.5, low=math.nan, high=math.nan)) == "0.50"
    assert (
        words.estimate(SimpleNamespace(mean=1234.5, low=0.012345, high=2e5))
        == "1.23e+03 [0.0123, 2e+05]"
    )
    assert words.estimate(SimpleNamespace(mean=0.5, low=math.nan, high=math.nan)) == "0.5"
    assert words.percent(0.249) == "24.9%"
    assert words.percent(math.nan) == words.number(math.nan) == "-"
    assert [words.weights(w) for w in (1.0, 0.64, 0.0214, 0.0064)] == [
        "100%",
        "64%",
        "2.1%",
        "0.64%",
    ]
    assert words.noise(0) == "no label noise"
    assert words.noise(2.5) == "2.5% label noise"
    assert [words.listing(list("abc"[:n])) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert words.correlation("r", pearson([1, 1, 1], [1, 2, 3])) == "r is not defined"
    assert words.correlation("r", pearson([1, 2, 3, 4], [1, 2, 3, 5])).startswith("r = 0.98 [")
