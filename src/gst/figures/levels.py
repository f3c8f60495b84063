"""Means at every level of a method, as tables, lines and sentences: dense, optimal, all between."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import style, words

KEYS = ["benchmark", "noise", "method", "level"]

STAR: style.Look = {
    "linestyle": "",
    "marker": "*",
    "markersize": 13,
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
}
DENSE: style.Look = {"color": style.GREY, "linestyle": "--", "linewidth": 0.9}


def means(
    runs: pd.DataFrame, selected: pd.DataFrame, methods: Iterable[str], measure: str
) -> pd.DataFrame:
    """Return a measure's mean and interval at every level of dense training and of methods.

    The column `optimal` marks the levels that the published protocol chooses.
    """
    own = runs[runs["method"].isin(["dense", *methods])]
    facts = own.groupby(KEYS, sort=False, as_index=False)[
        ["weights_remaining", "epochs_spent"]
    ].mean()
    table = facts.merge(summarise(own, KEYS, measure), on=KEYS)
    best = selected[
        selected["method"].isin(list(methods))
        & (selected["protocol"] == "published")
        & (selected["which"] == "optimal")
    ]
    found = {
        (row.benchmark, row.noise, row.method if row.level else "dense", row.level)
        for row in rows(best)
    }
    keys = table[KEYS].itertuples(index=False, name=None)
    return table.assign(optimal=[key in found for key in keys])


def panels(table: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Open a figure of test errors; return its panels and the part of a table that each shows.

    There is a panel for each benchmark and noise.
    """
    cells = {
        f"{benchmark}\n{words.noise(noise)}": cell
        for (benchmark, noise), cell in groups(table, "benchmark", "noise")
    }
    noises = table.groupby("benchmark")["noise"].nunique()
    wrap = 2 if len(cells) == 4 else min(4, max(2, int(noises.max())))
    figure, axes = style.panels(list(cells), wrap=wrap)
    for (_, title), ax in axes.items():
        ax.set(title=title, ylabel="Test error (%)")
    return figure, [(ax, cells[title]) for (_, title), ax in axes.items()]


def line(ax: Axes, line: pd.DataFrame, x: str, scale: float, **look: Any) -> None:
    """Plot means against a column, with their intervals as a band and a star at the optimum."""
    line = line.sort_values("level")
    at = line[x] * (100 if x == "weights_remaining" else 1)
    mean, low, high = (scale * line[name] for name in ("mean", "low", "high"))
    style.band(ax, at, mean, low, high, **look)
    best = line["optimal"]
    ax.plot(at[best], mean[best], color=look["color"], zorder=5, **STAR)


def noise_legend(colours: dict[float, str]) -> list[tuple[str, style.Look]]:
    """Return a legend's entry for each level of label noise."""
    return [(words.noise(noise), {"color": colour}) for noise, colour in colours.items()]


def optima(table: pd.DataFrame) -> list[str]:
    """Say for each benchmark and noise what dense training and the best levels reach."""
    sentences = []
    for (benchmark, noise), cell in groups(table, "benchmark", "noise"):
        dense = next(rows(cell[cell["method"] == "dense"]))
        parts = [f"dense {words.interval(dense, 100, 1, '%')}"]
        for row in rows(cell[cell["optimal"] & (cell["level"] > 0)]):
            where = f"at {words.weights(row.weights_remaining)} of the weights"
            if row.method == "extended":
                where = f"after {row.epochs_spent:g} epochs"
            parts.append(f"best {row.method} {words.interval(row, 100, 1, '%')} {where}")
        if len(parts) == 1:
            parts.append("which no other level improves")
        sentences.append(f"{benchmark}, {words.noise(noise)}: {', '.join(parts)}.")
    return sentences
