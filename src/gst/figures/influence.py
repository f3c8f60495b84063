"""Figure of the stability study about the examples whose training loss pruning changes."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups
from gst.analysis.statistics import summarise
from gst.figures import lines, style, words
from gst.registry import register


@register(
    "stability_subgroups",
    title="Change of the training loss by influence of the examples",
    study="stability",
    tables=("subgroups",),
    needs=("el2n",),
)
class Subgroups:
    """Training loss of variants minus that of training without pruning, by EL2N."""

    @staticmethod
    def summarise(subgroups: pd.DataFrame) -> pd.DataFrame:
        """Return mean loss differences by benchmark, variant and subgroup."""
        table = summarise(subgroups, ["benchmark", "method", "group"], "loss_difference")
        return table.assign(percentile=100 * (table["group"] - 0.5) / table["group"].max())

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one panel a benchmark, variants by colour."""
        figure, axes = style.panels(words.unique(table["benchmark"]), size=(4.4, 3.2))
        looks = style.variants(table["method"])
        for (_, benchmark), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            ax.axhline(0, color=style.GREY, linewidth=0.8)
            lines.variants(ax, own, "percentile", looks)
            ax.set(
                title=benchmark,
                xlim=(0, 100),
                xlabel="EL2N score percentile of the examples (%)",
                ylabel="Variant minus unpruned\ntraining loss (nats)",
            )
        lines.legend(figure, looks)
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how the most influential fifth of the examples fares, and how the others."""
        sentences = []
        for (benchmark, method), own in groups(table, "benchmark", "method"):
            top = own["percentile"] > 80
            high, rest = own["mean"][top].mean(), own["mean"][~top].mean()
            sentences.append(
                f"{benchmark}, {method}: {high:+.3g} nats on the most influential fifth of the "
                f"examples, {rest:+.3g} on the others."
            )
        return "\n\n".join(
            [
                "Training loss of each variant's final weights minus that of training without "
                "pruning, on twenty groups of examples from the least influential (left) to the "
                "most influential (right) by EL2N score. Above zero, pruning keeps the network "
                "from fitting these examples.",
                *sentences,
                words.intervals(table),
            ]
        )
