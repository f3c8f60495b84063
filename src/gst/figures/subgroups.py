"""Change of the training loss by influence of the examples (regularization study)."""

from __future__ import annotations

from math import isfinite

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import levels, style, words
from gst.registry import register

RANKING = ["networks", "spearman_halves", "reliability", "spearman_seeds"]
"""How stable the ranking of the examples is, as columns of the table el2n."""


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
        keys = ["benchmark", "noise", "which", "level", "group"]
        table = summarise(own, keys, "loss_difference")
        width = 100 / table["group"].max()
        stable = el2n.groupby(["benchmark", "noise"], sort=False, as_index=False)[RANKING].mean()
        table = table.merge(stable, on=["benchmark", "noise"], how="left")
        return table.assign(
            percentile_low=width * (table["group"] - 1), percentile_high=width * table["group"]
        )

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one row a benchmark: without noise at both selected levels, with noise at one."""
        sparse, clean = table["level"] > 0, table["noise"] == 0
        kinds = {
            "no label noise, optimal sparsity": clean & (table["which"] == "optimal"),
            "no label noise, sparsest better than dense": clean & (table["which"] != "optimal"),
            "label noise, optimal sparsity": ~clean & (table["which"] == "optimal"),
        }
        shown = {name: table[rule & sparse] for name, rule in kinds.items() if any(rule & sparse)}
        figure, axes = style.panels(
            list(shown) or ["optimal sparsity"], words.unique(table["benchmark"]), wrap=3
        )
        colours = style.shades(table["noise"])
        for (benchmark, kind), ax in axes.items():
            own = shown.get(kind, table[:0])
            own = own[own["benchmark"] == benchmark]
            ax.axhline(0, color=style.GREY, linewidth=0.8)
            for (noise,), line in groups(own, "noise"):
                x = (line["percentile_low"] + line["percentile_high"]) / 2
                style.band(ax, x, line["mean"], line["low"], line["high"], color=colours[noise])
            if own.empty:
                text = "no sparse network\nis better than dense"
                ax.text(0.5, 0.6, text, transform=ax.transAxes, ha="center")
            ax.set(
                title=f"{benchmark}\n{kind}",
                xlim=(0, 100),
                xlabel="EL2N score percentile of the examples (%)",
                ylabel="Sparse minus dense\ntraining loss (nats)",
            )
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
            top = cell["percentile_high"] > 80
            high, rest = cell["mean"][top].mean(), cell["mean"][~top].mean()
            sentences.append(
                f"{place}, optimal sparsity: {high:+.3f} nats on the most influential fifth of "
                f"the examples, {rest:+.3f} on the others."
            )
        return " ".join(
            [
                "Training loss of sparse minus dense networks on twenty groups of examples, from "
                "the least influential (left) to the most influential (right) by EL2N score. "
                "Below zero, pruning trains better; above zero, it regularises.",
                *sentences,
                *_ranking(table),
                words.intervals(table),
            ]
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
