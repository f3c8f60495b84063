"""Where pruning does as well as training as long (regularization study, Fig. 1a and appendix C)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import matching, summarise
from gst.figures import levels, style, words
from gst.registry import register

UNDECIDED = "undecided"
EXTENDED: style.Look = {
    "color": style.PALETTE[0],
    "marker": style.METHOD_MARKERS["extended"],
    "linestyle": ":",
    "markersize": 3,
}


@register(
    "regularization_matching",
    title="Where pruning matches equally long dense training",
    study="regularization",
    tables=("runs",),
    needs=("pruned", "extended"),
)
class Matching:
    """Every way to prune beside dense training of the same length (Fig. 1a, appendix C)."""

    @staticmethod
    def summarise(runs: pd.DataFrame) -> pd.DataFrame:
        """Return mean test errors by benchmark, noise, method and level.

        Beside them difference, the mean by which they exceed those of extended training over
        the same epochs, seeds paired, and verdict: "matches", "better" or "worse" by the matching
        rule, or "undecided" where no dense network trained as long, or seeds are too few.
        """
        chains = words.unique(runs.loc[runs["intervention"] == "weights", "method"])
        own = runs[runs["method"].isin(["dense", "extended", *chains])]
        keys = levels.KEYS
        facts = own.groupby(keys, sort=False, as_index=False)[
            ["weights_remaining", "epochs_spent"]
        ].mean()
        table = facts.merge(summarise(own, keys, "test_error"), on=keys)
        length = ["benchmark", "noise", "epochs_spent", "seed"]
        extended = own.loc[own["method"] == "extended", [*length, "test_error"]]
        pairs = own[own["method"].isin(chains)].merge(extended, on=length, suffixes=("", "_long"))
        found = []
        for key, cell in groups(pairs, *keys):
            match = matching(cell["test_error"], cell["test_error_long"])
            sign = "worse" if match.difference > 0 else "better"
            verdict = {None: UNDECIDED, False: "matches", True: sign}[match.differs]
            found.append((*key, match.difference, verdict))
        compared = pd.DataFrame(found, columns=[*keys, "difference", "verdict"])
        return table.merge(compared, on=keys, how="left").fillna({"verdict": UNDECIDED})

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a panel for each benchmark and noise; pruned levels that match are shaded."""
        figure, panels = levels.panels(table)
        chains = set(table["method"]) - {"dense", "extended"}
        looks = style.chains([m for m in words.unique(table["method"]) if m in chains])
        looks["extended"] = EXTENDED
        for ax, own in panels:
            dense = own[own["method"] == "dense"]
            _shade(ax, own[(own["method"] == "pruned") & (own["verdict"] == "matches")], own)
            for method, look in reversed(looks.items()):
                line = own[own["method"] == method].sort_values("level")
                if line.empty:
                    continue
                if line["epochs_spent"].nunique() > 1:
                    line = pd.concat([dense, line])
                else:
                    look = {**look, "linestyle": ""}
                mean, low, high = (100 * line[name] for name in ("mean", "low", "high"))
                style.band(ax, line["epochs_spent"], mean, low, high, **look)
            for row in rows(dense):
                ax.axhline(100 * row.mean, **levels.DENSE)
            _weights_above(ax, pd.concat([dense, own[own["method"] == "pruned"]]))
            ax.set_xlabel("Training epochs, all levels together")
            usual = own.loc[own["method"].isin(["dense", "pruned", "extended"]), "mean"].max()
            ax.set_ylim(top=min(ax.get_ylim()[1], 150 * usual))
        shade = ("pruned matches extended", {"color": style.GREY, "alpha": 0.2, "linewidth": 7})
        style.legend(figure, [*looks.items(), ("dense", levels.DENSE), shade])
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say at how many levels each way to prune matches, and how sparse it gets there."""
        sentences = []
        compared = table[table["verdict"] != UNDECIDED]
        for (benchmark, noise), cell in groups(compared, "benchmark", "noise"):
            parts = []
            for (method,), own in groups(cell, "method"):
                same = own[own["verdict"] == "matches"]
                text = f"{method} at {len(same)} of {len(own)} levels"
                if len(same):
                    least = words.weights(same["weights_remaining"].min())
                    text += f", down to {least} of the weights"
                parts.append(text)
            sentences.append(f"{benchmark}, {words.noise(noise)}: {'; '.join(parts)}.")
        head = "By the matching rule these match dense training of the same length:"
        return "\n\n".join(
            [
                "Test error against the epochs spent, for every way to prune and for extended "
                "dense training; above, the weights that remain of the pruned network. Shaded: "
                "levels at which it matches the dense network trained as long, which means that "
                "the mean difference over seeds is smaller than its standard deviation. One-shot "
                "pruning spends the same few epochs at every level. A panel ends at one and a "
                "half times the highest error of dense, pruned and extended.",
                *([head, *sentences] if sentences else []),
                words.intervals(table),
            ]
        )


def _shade(ax: Axes, matches: pd.DataFrame, own: pd.DataFrame) -> None:
    """Shade the levels that match, each as wide as a level is long."""
    at = np.sort(own.loc[own["method"] == "extended", "epochs_spent"].to_numpy())
    half = np.diff(at).mean() / 2 if len(at) > 1 else 0.5
    for epochs in matches["epochs_spent"]:
        ax.axvspan(epochs - half, epochs + half, color=style.GREY, alpha=0.2, linewidth=0)


def _weights_above(ax: Axes, pruned: pd.DataFrame) -> None:
    """Say above a panel how many weights remain after some of its epochs."""
    pruned = pruned.sort_values("level")
    ticks = np.linspace(0, len(pruned) - 1, min(len(pruned), 6)).round().astype(int)
    shown = pruned.iloc[ticks]
    above = ax.secondary_xaxis("top")
    above.spines["right"].set_visible(False)
    above.set_xlabel("Weights remaining (pruned)", fontsize=7.5)
    above.set_xticks(
        shown["epochs_spent"], [words.weights(w) for w in shown["weights_remaining"]], fontsize=7
    )
