"""Figure of the stability study about the iterative pruning rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gst.analysis.correlations import ACCURACY
from gst.analysis.frames import groups, rows
from gst.analysis.statistics import Correlation, summarise
from gst.figures import style, words
from gst.registry import register

PANELS = {
    "stability": "stability",
    "published": "accuracy, as published",
    "clean": "accuracy, final epoch",
    "correlation": "correlation of the two",
}

TARGETS = {"S": ("smallest", "o"), "R": ("random", "^"), "L": ("largest", "v")}
"""Words and marker of each pruning target."""

SERIES: dict[tuple[str, str], style.Look] = {
    ("pearson", "published"): {"color": "#000000", "marker": "o"},
    ("pearson", "clean"): {"color": "#000000", "marker": "o", "mfc": "white"},
    ("kendall", "published"): {"color": "#CC79A7", "marker": "s"},
    ("kendall", "clean"): {"color": "#CC79A7", "marker": "s", "mfc": "white"},
}
"""Looks of the correlations, by statistic and protocol."""

NAMES = {
    ("pearson", "published"): "Pearson r, as published",
    ("pearson", "clean"): "Pearson r, final epoch",
    ("kendall", "published"): "Kendall \u03c4, as published",
    ("kendall", "clean"): "Kendall \u03c4, final epoch",
}


@register(
    "stability_rates",
    title="Stability and test accuracy by iterative pruning rate",
    study="stability",
    tables=("runs", "correlations"),
    needs=("rates",),
)
class Rates:
    """Stability, test accuracy and their correlation at each iterative rate (Figure 3)."""

    @staticmethod
    def summarise(runs: pd.DataFrame, correlations: pd.DataFrame) -> pd.DataFrame:
        """Return what the panels show, at each rate.

        quantity: stability or accuracy, a mean for each target ("none" for runs without
        pruning), or correlation, for each statistic. These name the series.
        """
        runs = runs.assign(test_accuracy=1 - runs["test_error"])
        pruned = runs[runs["intervention"] == "filters"].rename(columns={"target": "series"})
        dense = runs[runs["intervention"] == "none"].assign(series="none", iterative_rate=np.nan)
        keys = ["benchmark", "series", "iterative_rate"]
        parts = [
            summarise(pruned, keys, "stability").assign(quantity="stability", protocol="published")
        ]
        for protocol, accuracy in ACCURACY.items():
            table = summarise(pd.concat([dense, pruned]), keys, accuracy)
            parts.append(table.assign(quantity="accuracy", protocol=protocol))
        found = pd.concat(parts).rename(columns={"mean": "value"})
        at_rate = correlations[
            correlations["iterative_rate"].notna()
            & (correlations["x"] == "stability")
            & correlations["y"].isin(ACCURACY.values())
        ].rename(columns={"statistic": "series", "r": "value"})
        columns = ["benchmark", "quantity", "protocol", *keys[1:], "value", "low", "high"]
        if len(at_rate):
            at_rate = at_rate.assign(quantity="correlation", missing=0)
            found = pd.concat([found.assign(p=np.nan), at_rate], ignore_index=True)
        else:
            found["p"] = np.nan
        order = ["benchmark", "quantity", "protocol", "series", "iterative_rate"]
        return found[[*columns, "p", "n", "missing"]].sort_values(order, ignore_index=True)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row a benchmark."""
        benchmarks = words.unique(table["benchmark"])
        figure, axes = style.panels(list(PANELS), benchmarks, wrap=4, size=(3.3, 3.0))
        for (benchmark, panel), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            if panel == "correlation":
                _correlations(ax, own[own["quantity"] == "correlation"])
            elif panel == "stability":
                _targets(ax, own[own["quantity"] == "stability"])
                ax.set_ylabel("Stability (%)")
            else:
                accuracy = own["quantity"] == "accuracy"
                _targets(ax, own[accuracy & (own["protocol"] == panel)])
                ax.set_ylabel("Test accuracy (%)")
            ax.set_title(f"{benchmark}:\n{PANELS[panel]}")
            _rate_axis(ax, own["iterative_rate"].dropna())
        style.legend(figure, _legend(table))
        pruned = table[table["quantity"] != "correlation"]
        style.note(
            figure,
            f"{words.intervals(pruned)} Correlations: over the runs of all targets at a rate, "
            "with bootstrapped 95% intervals, set side by side.",
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what the highest and lowest rates do, and the correlation at each rate."""
        sentences = []
        for (benchmark,), own in groups(table, "benchmark"):
            for (quantity, protocol, series), line in groups(
                own[own["quantity"] != "correlation"], "quantity", "protocol", "series"
            ):
                ends = line.rename(columns={"value": "mean"}).sort_values("iterative_rate")
                parts = [
                    words.interval(row, 100, 1, "%")
                    + (f" at {row.iterative_rate:.2g}%" if np.isfinite(row.iterative_rate) else "")
                    for row in rows(ends.iloc[[0, -1]].drop_duplicates())
                ]
                who = f"target {series}" if series in TARGETS else "without pruning"
                how = "" if quantity == "stability" else f" ({_protocol(protocol)})"
                sentences.append(f"{benchmark}, {quantity}{how}, {who}: {' to '.join(parts)}.")
            for (protocol, series), line in groups(
                own[own["quantity"] == "correlation"], "protocol", "series"
            ):
                if (series, protocol) not in SERIES:
                    continue
                parts = [
                    words.correlation(
                        f"{row.iterative_rate:.2g}%",
                        Correlation(row.value, row.p, row.low, row.high, row.n),
                    )
                    for row in rows(line)
                ]
                name = NAMES[series, protocol].split(",")[0].replace("\u03c4", "tau")
                sentences.append(
                    f"{benchmark}, {name} of stability and accuracy ({_protocol(protocol)}) by "
                    f"rate: {'; '.join(parts)}; n = {line['n'].min()} runs or more."
                )
        return "\n\n".join(
            [
                "Stability of pruning, test accuracy, and the correlation of the two, by "
                "iterative rate: the largest share of a layer's filters that one event removes. "
                "In all, the same number is removed at each rate. S prunes the filters with the "
                "smallest scores, R random ones, L those with the largest.",
                *sentences,
                words.intervals(table[table["quantity"] != "correlation"]),
            ]
        )


def _protocol(name: str) -> str:
    return PANELS[name].split(", ")[1]


def _targets(ax: Axes, table: pd.DataFrame) -> None:
    """Draw a line a target, in percent, and the runs without pruning as a band."""
    table = table.rename(columns={"value": "mean"}).sort_values("iterative_rate")
    for row in rows(table[table["series"] == "none"]):
        ax.axhspan(100 * row.low, 100 * row.high, color=style.GREY, alpha=0.2, linewidth=0)
        ax.axhline(100 * row.mean, color=style.GREY, linestyle="--", linewidth=1.1)
    for target, (_, marker) in TARGETS.items():
        line = table[table["series"] == target]
        look: style.Look = {"color": style.TARGETS[target], "marker": marker}
        style.points(ax, line["iterative_rate"], line, 100, **look)


def _correlations(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the correlations at each rate beside each other, with zero as a line."""
    ax.axhline(0, color=style.GREY, linewidth=0.9)
    table = table.rename(columns={"value": "mean"})
    for number, ((statistic, protocol), look) in enumerate(SERIES.items()):
        line = table[(table["series"] == statistic) & (table["protocol"] == protocol)]
        beside = 1.055 ** (number - (len(SERIES) - 1) / 2)
        style.points(ax, line["iterative_rate"] * beside, line, linestyle="", **look)
    if table.empty:
        centre: style.Look = {"transform": ax.transAxes, "ha": "center", "color": style.GREY}
        ax.text(0.5, 0.6, "no rate with several targets", **centre)
    ax.set(ylim=(-1.05, 1.05), ylabel="Correlation of stability\nand test accuracy")


def _rate_axis(ax: Axes, rates: pd.Series) -> None:
    """Make x the iterative rate, in percent, with a tick at each rate."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(sorted(set(rates))))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    if len(rates):
        ax.set_xlim(rates.min() / 1.3, rates.max() * 1.3)
    ax.set_xlabel("Iterative pruning rate (%)")


def _legend(table: pd.DataFrame) -> list[tuple[str, style.Look]]:
    there = set(table["series"])
    entries: list[tuple[str, style.Look]] = [
        (f"{target} ({word})", {"color": style.TARGETS[target], "marker": marker})
        for target, (word, marker) in TARGETS.items()
        if target in there
    ]
    if "none" in there:
        entries.append(("no pruning", {"color": style.GREY, "linestyle": "--"}))
    return entries + [
        (NAMES[key], {**look, "linestyle": ""}) for key, look in SERIES.items() if key[0] in there
    ]
