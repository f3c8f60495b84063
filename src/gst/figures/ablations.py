"""Other ways to prune (regularization study, appendices C and J)."""

from __future__ import annotations

from math import isfinite

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import rows
from gst.figures import levels, style, words
from gst.registry import register


@register(
    "regularization_ablations",
    title="Test error against weights remaining: other ways to prune",
    study="regularization",
    tables=("runs", "selected"),
    needs=("ablations",),
)
class Ablations:
    """Test error of every way to prune against weights remaining (appendices C and J)."""

    @staticmethod
    def summarise(runs: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
        """Return mean test errors by benchmark, noise, method and level."""
        methods = words.unique(runs.loc[runs["intervention"] == "weights", "method"])
        return levels.means(runs, selected, methods, "test_error")

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a panel for each benchmark and noise: methods by colour, dense as a band."""
        figure, panels = levels.panels(table)
        looks = style.chains(words.unique(table.loc[table["level"] > 0, "method"]))
        for ax, own in panels:
            dense = own[own["method"] == "dense"]
            for row in rows(dense):
                if isfinite(row.low):
                    ax.axhspan(100 * row.low, 100 * row.high, color=style.GREY, alpha=0.18, lw=0)
                ax.axhline(100 * row.mean, **levels.DENSE)
            for method, look in reversed(looks.items()):
                line = own[own["method"] == method]
                if len(line):
                    levels.line(ax, pd.concat([dense, line]), "weights_remaining", 100, **look)
            style.weights_axis(ax, own["weights_remaining"])
            usual = own.loc[own["method"].isin(["dense", "pruned"]), "mean"].max()
            ax.set_ylim(top=min(ax.get_ylim()[1], 200 * usual))
        star = ("optimal level", {"color": style.GREY, **levels.STAR})
        style.legend(figure, [*looks.items(), ("dense", levels.DENSE), star])
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what the best level of each way to prune reaches."""
        return "\n\n".join(
            [
                "Test error against the share of the weights that remain, for iterative magnitude "
                "pruning with learning-rate rewinding (pruned) and for ways to prune that differ "
                "from it in one choice each: what is rewound, in how many rounds, and which "
                "weights go. The grey band is the dense network. Stars mark the levels with the "
                "lowest error on the test set. A panel ends at twice the highest error of pruned "
                "and dense.",
                *levels.optima(table),
                words.intervals(table),
            ]
        )
