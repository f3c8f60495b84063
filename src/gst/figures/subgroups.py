"""Change of the training loss by influence of the examples (regularization study).

At the selected levels (Figures 2 and 5), beside narrower networks (appendix I), and at more levels
of pruning and of extended training (appendix L).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import levels, style, words
from gst.registry import register

RANKING = ["networks", "spearman_halves", "reliability", "spearman_seeds"]
"""How stable the ranking of the examples is, as columns of the table el2n."""

SHOWN = 5
"""Levels that are drawn where all would be too many."""


@register(
    "regularization_subgroups",
    title="Change of the training loss by influence of the examples",
    study="regularization",
    tables=("subgroups", "el2n"),
    needs=("pruned", "el2n"),
)
class Subgroups:
    """Change of the training loss by influence of the examples (Figures 2 and 5)."""

    @staticmethod
    def summarise(subgroups: pd.DataFrame, el2n: pd.DataFrame) -> pd.DataFrame:
        """Return mean loss differences by benchmark, noise, selected level and subgroup.

        Beside them, how stable the ranking by EL2N is: columns of the table el2n, mean over seeds.
        """
        own = subgroups[(subgroups["method"] == "pruned") & (subgroups["protocol"] == "published")]
        table = _differences(own, ["benchmark", "noise", "which", "level"])
        stable = el2n.groupby(["benchmark", "noise"], sort=False, as_index=False)[RANKING].mean()
        return table.merge(stable, on=["benchmark", "noise"], how="left")

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one row a benchmark: without noise at both selected levels, with noise at one."""
        clean = table["noise"] == 0
        kinds = {
            "no label noise, optimal sparsity": clean & (table["which"] == "optimal"),
            "no label noise, sparsest better level": clean & (table["which"] != "optimal"),
            "label noise, optimal sparsity": ~clean & (table["which"] == "optimal"),
        }
        shown = {kind: table[rule] for kind, rule in kinds.items() if any(rule)}
        figure, axes = style.panels(list(shown), words.unique(table["benchmark"]), wrap=3)
        colours = style.shades(table["noise"])
        for (benchmark, kind), ax in axes.items():
            own = shown[kind]
            own = own[(own["benchmark"] == benchmark) & (own["level"] > 0)]
            lines = ((colours[noise], line) for (noise,), line in groups(own, "noise"))
            _panel(ax, lines, f"{benchmark}\n{kind}", "Sparse minus dense\ntraining loss (nats)")
            if own.empty:
                _say(ax, "no sparse network\nis better than dense")
        style.legend(figure, levels.noise_legend(colours))
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how the most influential fifth of the examples fares, and how the others."""
        sentences = []
        optimal = table[table["which"] == "optimal"]
        for (benchmark, noise), cell in groups(optimal, "benchmark", "noise"):
            place = f"{benchmark}, {words.noise(noise)}"
            if (cell["level"] == 0).all():
                sentences.append(f"{place}: no sparse network is better than the dense one.")
                continue
            sentences.append(f"{place}, optimal sparsity: {_influential(cell)}.")
        return "\n\n".join(
            [
                "Training loss of sparse minus dense networks on twenty groups of examples, from "
                "the least influential (left) to the most influential (right) by EL2N score. "
                "Below zero, pruning trains better; above zero, it regularises. The optimal level "
                "has the lowest error on the test set, the sparsest better one the fewest weights "
                "with an error below that of dense.",
                *sentences,
                *_ranking(table),
                words.intervals(table),
            ]
        )


@register(
    "regularization_subgroups_width",
    title="Change of the training loss by influence: pruning and narrower networks",
    study="regularization",
    tables=("subgroups",),
    needs=("pruned", "width", "el2n"),
)
class SubgroupsWidth:
    """Change of the training loss by influence, pruned and narrower networks (appendix I)."""

    @staticmethod
    def summarise(subgroups: pd.DataFrame) -> pd.DataFrame:
        """Return mean loss differences at the optimal levels, by method, noise and subgroup."""
        own = subgroups[
            subgroups["method"].isin(["pruned", "width"])
            & (subgroups["protocol"] == "published")
            & (subgroups["which"] == "optimal")
        ]
        return _differences(own, ["benchmark", "noise", "method", "level"])

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one row a benchmark, pruning beside width on the same scale, noise by colour."""
        benchmarks = words.unique(table["benchmark"])
        figure, axes = style.panels(["pruned", "width"], benchmarks)
        colours = style.shades(table["noise"])
        for (benchmark, method), ax in axes.items():
            own = table[(table["benchmark"] == benchmark) & (table["method"] == method)]
            own = own[own["level"] > 0]
            lines = ((colours[noise], line) for (noise,), line in groups(own, "noise"))
            title = f"{benchmark}\n{method}, optimal level"
            _panel(ax, lines, title, "Smaller minus dense\ntraining loss (nats)")
            if own.empty:
                _say(ax, "no smaller network\nis better than dense")
        for benchmark in benchmarks:
            axes[benchmark, "width"].sharey(axes[benchmark, "pruned"])
            axes[benchmark, "pruned"].autoscale(axis="y")
        style.legend(figure, levels.noise_legend(colours))
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how the most influential fifth of the examples fares with both."""
        sentences = []
        for (benchmark, noise), cell in groups(table, "benchmark", "noise"):
            parts = []
            for (method,), own in groups(cell, "method"):
                if (own["level"] == 0).all():
                    parts.append(f"{method} no better than dense")
                else:
                    parts.append(f"{method} at level {own['level'].iloc[0]} {_influential(own)}")
            sentences.append(f"{benchmark}, {words.noise(noise)}: {'; '.join(parts)}.")
        return "\n\n".join(
            [
                "Training loss at the level with the lowest error on the test set minus that of "
                "the dense network, on groups of examples from the least influential (left) to "
                "the most influential (right) by EL2N score: pruned networks beside dense "
                "networks of smaller width. There is no line where the dense network is best. "
                "Where both rise alike, size alone explains how pruning regularises.",
                *sentences,
                words.intervals(table),
            ]
        )


@register(
    "regularization_subgroups_levels",
    title="Change of the training loss by influence, at more levels",
    study="regularization",
    tables=("subgroup_levels",),
    needs=("pruned", "el2n"),
)
class SubgroupsLevels:
    """Change of the training loss by influence at more levels (appendix L)."""

    @staticmethod
    def summarise(subgroup_levels: pd.DataFrame) -> pd.DataFrame:
        """Return mean loss differences of some levels, by method, noise and subgroup.

        The levels are the first one, the last one, and evenly spaced ones between.
        """
        keys = ["benchmark", "noise", "method", "level"]
        own = subgroup_levels[subgroup_levels["method"].isin(["pruned", "extended"])]
        last = own.groupby("benchmark")["level"].max()
        shown = {
            (benchmark, level)
            for benchmark, end in last.items()
            for level in np.linspace(1, end, SHOWN).round().astype(int).tolist()
        }
        pairs = zip(own["benchmark"], own["level"], strict=True)
        own = own[[pair in shown for pair in pairs]]
        facts = own.groupby(keys, as_index=False)[["weights_remaining", "epochs_spent"]].mean()
        return _differences(own, keys).merge(facts, on=keys)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row for each benchmark and method, a column a level of noise, levels by colour."""
        lines_of = {
            f"{benchmark}, {method}": own
            for (benchmark,), both in groups(table, "benchmark")
            for method in ("pruned", "extended")
            if len(own := both[both["method"] == method])
        }
        columns = {words.noise(noise): noise for noise in sorted(set(table["noise"]))}
        figure, axes = style.panels(list(columns), list(lines_of))
        colours = style.shades(table["level"])
        for (row, column), ax in axes.items():
            own = lines_of[row]
            own = own[own["noise"] == columns[column]]
            lines = ((colours[level], line) for (level,), line in groups(own, "level"))
            _panel(ax, lines, f"{row}\n{column}", "Training loss minus\nthat of dense (nats)")
        style.legend(figure, [(f"level {level:g}", {"color": colours[level]}) for level in colours])
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how the most influential fifth of the examples fares at each level."""
        sentences = []
        for (benchmark, noise, method), cell in groups(table, "benchmark", "noise", "method"):
            parts = []
            for _, own in groups(cell, "level"):
                first = next(rows(own))
                where = f"{words.weights(first.weights_remaining)} of the weights"
                if method == "extended":
                    where = f"{first.epochs_spent:g} epochs"
                high, rest = _means(own)
                parts.append(f"{high:+.3g} and {rest:+.3g} at {where}")
            sentences.append(f"{benchmark}, {words.noise(noise)}, {method}: {', '.join(parts)}.")
        return "\n\n".join(
            [
                "Training loss minus that of the dense network, on groups of examples from the "
                "least influential (left) to the most influential (right) by EL2N score, at some "
                "levels of pruning and after as many levels of extended dense training. Mean on "
                "the most influential fifth and on the others, in nats:",
                *sentences,
                words.intervals(table),
            ]
        )


def _differences(own: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the mean loss difference of every subgroup, beside the range of its scores."""
    table = summarise(own, [*keys, "group"], "loss_difference")
    width = 100 / table["group"].max()
    return table.assign(
        percentile_low=width * (table["group"] - 1), percentile_high=width * table["group"]
    )


def _panel(
    ax: Axes, lines: Iterable[tuple[str, pd.DataFrame]], title: str, difference: str
) -> None:
    """Draw loss differences by percentile, one line a colour."""
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    for colour, line in lines:
        x = (line["percentile_low"] + line["percentile_high"]) / 2
        style.band(ax, x, line["mean"], line["low"], line["high"], color=colour)
    ax.set(
        title=title,
        xlim=(0, 100),
        xlabel="EL2N score percentile of the examples (%)",
        ylabel=difference,
    )


def _say(ax: Axes, text: str) -> None:
    """Say why a panel is empty."""
    ax.text(0.5, 0.6, text, transform=ax.transAxes, ha="center")
    ax.set_yticks([])


def _means(cell: pd.DataFrame) -> tuple[float, float]:
    """Return the mean difference on the most influential fifth of the examples, and on others."""
    top = cell["percentile_high"] > 80
    return float(cell["mean"][top].mean()), float(cell["mean"][~top].mean())


def _influential(cell: pd.DataFrame) -> str:
    high, rest = _means(cell)
    return (
        f"{high:+.3g} nats on the most influential fifth of the examples, {rest:+.3g} on the others"
    )


def _ranking(table: pd.DataFrame) -> list[str]:
    """Say how stable the ranking of the examples by EL2N is."""
    parts = []
    for row in rows(table.drop_duplicates(["benchmark", "noise"])):
        if not isfinite(row.spearman_halves):
            continue
        text = (
            f"{row.benchmark}, {words.noise(row.noise)}: {row.spearman_halves:.2f} between halves "
            f"of {row.networks:g} networks, hence {row.reliability:.2f} for all of them"
        )
        if isfinite(row.spearman_seeds):
            text += f"; {row.spearman_seeds:.2f} between seeds"
        parts.append(f"{text}.")
    head = "How stable the ranking by EL2N is, as Spearman's correlation, mean over seeds:"
    return [head, *parts] if parts else []
