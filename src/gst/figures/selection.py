"""The levels that both protocols choose (regularization study)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import style, words
from gst.registry import register


@register(
    "regularization_selection",
    title="What choosing the level on the test set is worth",
    study="regularization",
    tables=("selected",),
    needs=("pruned",),
)
class Selection:
    """What choosing the level on the test set is worth: both protocols side by side."""

    @staticmethod
    def summarise(selected: pd.DataFrame) -> pd.DataFrame:
        """Return by how much each method's optimal level is below dense, seeds paired.

        Ablations are left out: they have a figure of their own.
        """
        keys = ["benchmark", "noise", "method", "protocol"]
        selected = selected[selected["method"].isin(style.METHOD_MARKERS)]
        optimal, dense = (selected[selected["which"] == name] for name in ("optimal", "dense"))
        pairs = optimal.merge(dense, on=[*keys, "seed"], suffixes=("", "_dense"))
        pairs["reduction"] = pairs["test_error_dense"] - pairs["test_error"]
        facts = pairs.groupby(keys, sort=False, as_index=False).agg(
            level=("level", "first"),
            weights_remaining=("weights_remaining", "mean"),
            dense_error=("test_error_dense", "mean"),
            optimal_error=("test_error", "mean"),
        )
        return facts.merge(summarise(pairs, keys, "reduction"), on=keys)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one panel a benchmark: noise along x, method by colour, protocol by filling."""
        figure, axes = style.panels(words.unique(table["benchmark"]))
        methods = words.unique(table["method"])
        colours = dict(zip(methods, style.PALETTE, strict=False))
        point: style.Look = {"linestyle": "", "markersize": 6}
        for (_, benchmark), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            noises = sorted(set(own["noise"]))
            ax.axhline(0, color=style.GREY, linewidth=0.8)
            for row in rows(own):
                shift = 0.22 * (methods.index(row.method) - (len(methods) - 1) / 2)
                clean = row.protocol == "clean"
                ax.errorbar(
                    noises.index(row.noise) + shift + (0.04 if clean else -0.04),
                    100 * row.mean,
                    yerr=[[100 * (row.mean - row.low)], [100 * (row.high - row.mean)]],
                    color=colours[row.method],
                    marker=style.METHOD_MARKERS[row.method],
                    markerfacecolor="white" if clean else None,
                    elinewidth=1.2,
                    **point,
                )
            ax.set_xticks(range(len(noises)), [f"{noise:g}" for noise in noises])
            ax.set_xlim(-0.6, len(noises) - 0.4)
            ax.grid(visible=False, axis="x")
            ax.set(
                title=benchmark,
                xlabel="Label noise (%)",
                ylabel="Error below dense (percentage points)",
            )
        grey = {"color": style.GREY, "marker": "s", **point}
        style.legend(
            figure,
            [
                *(
                    (m, {"color": colours[m], "marker": style.METHOD_MARKERS[m], **point})
                    for m in methods
                ),
                ("as published", grey),
                ("clean", {**grey, "markerfacecolor": "white"}),
            ],
        )
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what optimal pruning gains under both protocols."""
        names = {"published": "as published", "clean": "clean"}
        sentences = []
        pruned = table[table["method"] == "pruned"]
        for (benchmark, noise), cell in groups(pruned, "benchmark", "noise"):
            texts = [
                f"{words.interval(row, 100, 1)} points {names[row.protocol]} "
                f"({words.weights(row.weights_remaining)} of the weights)"
                for row in rows(cell)
            ]
            sentences.append(
                f"{benchmark}, {words.noise(noise)}: optimal pruning lowers the error by "
                f"{words.listing(texts)}."
            )
        return " ".join(
            [
                "How far the best level of each method is below the dense network. As published "
                "(filled), the level is chosen on the whole test set and reported on it; clean "
                "(open), it is chosen on one half of the test set and reported on the other. "
                "Choosing and reporting on the same set flatters a method by the difference.",
                *sentences,
                words.intervals(table),
            ]
        )
