"""Clouds of runs: one quantity against another, with the correlations over the runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.statistics import Correlation, bootstrap_interval, kendall, partial, pearson
from gst.figures import style, words

NOTE = (
    "A point is a run, a cross the mean of a variant with its 95% intervals. r: Pearson, "
    "\u03c4: Kendall, r|target: Pearson given the pruning target, with 95% intervals, over the n "
    "runs"
)
"""What a note below clouds says; which runs are counted is to be added."""

PAD = 26
"""Room between a panel and its title for the correlations, in points."""


def cloud(
    ax: Axes, table: pd.DataFrame, x: pd.Series, y: pd.Series, looks: Mapping[str, style.Variant]
) -> None:
    """Draw a point a run and a cross a variant: means and intervals of x and of y.

    The correlations over the runs that count stand above the panel.

    Args:
        ax: The panel.
        table: The runs; columns method, target, counted.
        x: Their values across.
        y: Their values along.
        looks: The look of each variant.
    """
    for name, look in looks.items():
        own = table["method"] == name
        point: style.Look = {"color": look.colour, "marker": look.marker, "linestyle": ""}
        ax.plot(x[own], y[own], alpha=0.75, markersize=5, **point)
        across, along = bootstrap_interval(x[own]), bootstrap_interval(y[own])
        if isfinite(across.low) and isfinite(along.low):
            ax.errorbar(
                across.mean,
                along.mean,
                xerr=[[across.mean - across.low], [across.high - across.mean]],
                yerr=[[along.mean - along.low], [along.high - along.mean]],
                color=look.colour,
                linewidth=1.2,
            )
    counted = table["counted"]
    found = related(x[counted], y[counted], table.loc[counted, "target"])
    names = {"Pearson r": "r", "Kendall tau": "\u03c4", "r given the target": "r|target"}
    texts = [
        f"{names[name]}={c.r:.2f} [{c.low:.2f}, {c.high:.2f}]"
        for name, c in found.items()
        if isfinite(c.r)
    ]
    texts.append(f"n={int(counted.sum())}")
    lines = [", ".join(part) for part in (texts[:2], texts[2:]) if part]
    ax.text(0, 1.02, "\n".join(lines), transform=ax.transAxes, fontsize=7, in_layout=False)


def related(x: pd.Series, y: pd.Series, target: pd.Series) -> dict[str, Correlation]:
    """Return the correlations of runs by name, given the target too if there are several."""
    found = {"Pearson r": pearson(x, y), "Kendall tau": kendall(x, y)}
    if target.nunique(dropna=False) > 1:
        found["r given the target"] = partial(x, y, target)
    return found


def sentence(x: pd.Series, y: pd.Series, target: pd.Series) -> str:
    """Write the correlations as captions do."""
    return ", ".join(words.correlation(name, c) for name, c in related(x, y, target).items())


def legend(figure: Figure, looks: Mapping[str, style.Variant]) -> None:
    """Put the legend of the variants above all panels."""
    style.legend(
        figure,
        [
            (name, {"color": look.colour, "marker": look.marker, "linestyle": ""})
            for name, look in looks.items()
        ],
    )
