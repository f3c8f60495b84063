"""The levels that both protocols choose (regularization study)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import style, words
from gst.registry import register

LEVELS = {
    "optimal": "optimal level",
    "sparsest-better": "sparsest level better than dense",
}
PROTOCOLS = {"published": "as published", "clean": "clean"}


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
        """Return by how much each method's selected levels are below dense, seeds paired.

        Ablations are left out: they have a figure of their own.
        """
        keys = ["benchmark", "noise", "method", "protocol"]
        selected = selected[selected["method"].isin(style.METHOD_MARKERS)]
        dense = selected.loc[selected["which"] == "dense", [*keys, "seed", "test_error"]]
        chosen = selected[selected["which"] != "dense"]
        pairs = chosen.merge(dense, on=[*keys, "seed"], suffixes=("", "_dense"))
        pairs["reduction"] = pairs["test_error_dense"] - pairs["test_error"]
        keys = [*keys, "which"]
        facts = pairs.groupby(keys, sort=False, as_index=False).agg(
            level=("level", "first"),
            weights_remaining=("weights_remaining", "mean"),
            dense_error=("test_error_dense", "mean"),
            error=("test_error", "mean"),
        )
        return facts.merge(summarise(pairs, keys, "reduction"), on=keys)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row a benchmark: the error at both levels, the weights of the sparsest one.

        Noise runs along x, method is by colour, protocol by filling.
        """
        weights = "weights of the sparsest better level"
        figure, axes = style.panels(
            [*LEVELS.values(), weights], words.unique(table["benchmark"]), wrap=3
        )
        methods = words.unique(table["method"])
        colours = dict(zip(methods, style.PALETTE, strict=False))
        point: style.Look = {"linestyle": "", "markersize": 6}
        which = {name: key for key, name in LEVELS.items()}
        for (benchmark, kind), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            noises = sorted(set(own["noise"]))
            ax.axhline(100 if kind == weights else 0, color=style.GREY, linewidth=0.8)
            shown = own[own["which"] == which.get(kind, "sparsest-better")]
            for (method, protocol), line in groups(shown, "method", "protocol"):
                clean = protocol == "clean"
                shift = 0.22 * (methods.index(method) - (len(methods) - 1) / 2)
                at = [noises.index(n) + shift + (0.04 if clean else -0.04) for n in line["noise"]]
                look = {
                    "color": colours[method],
                    "marker": style.METHOD_MARKERS[method],
                    "markerfacecolor": "white" if clean else None,
                    **point,
                }
                if kind == weights:
                    ax.plot(at, 100 * line["weights_remaining"], **look)
                else:
                    style.points(ax, at, line, 100, **look)
            if shown.empty:
                ax.text(
                    0.5, 0.6, "no level is\nbetter than dense", transform=ax.transAxes, ha="center"
                )
            ax.set_xticks(range(len(noises)), [f"{noise:g}" for noise in noises])
            ax.set_xlim(-0.6, len(noises) - 0.4)
            ax.grid(visible=False, axis="x")
            ax.set(title=f"{benchmark}\n{kind}", xlabel="Label noise (%)")
            ax.set_ylabel("Error below dense (percentage points)")
            if kind == weights:
                ax.set(yscale="log", ylabel="Weights remaining (%)")
                ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                ax.yaxis.set_minor_locator(NullLocator())
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
        """Say what both selected levels of pruning gain under both protocols."""
        sentences = []
        pruned = table[table["method"] == "pruned"]
        for (benchmark, noise), cell in groups(pruned, "benchmark", "noise"):
            parts = []
            for which, name in LEVELS.items():
                texts = [
                    f"{words.interval(row, 100, 1)} points {PROTOCOLS[row.protocol]} "
                    f"({words.weights(row.weights_remaining)} of the weights)"
                    for row in rows(cell[cell["which"] == which])
                ]
                parts.append(
                    f"the {name} lowers the error by {words.listing(texts)}"
                    if texts
                    else f"there is no {name}"
                )
            sentences.append(f"{benchmark}, {words.noise(noise)}, pruning: {'; '.join(parts)}.")
        return "\n\n".join(
            [
                "How far two levels of each method are below the dense network: the one with the "
                "lowest error, and the one with the fewest weights whose error is still below "
                "that of dense (extended training removes none). As published (filled), the "
                "level is chosen on the whole test set and its error is reported on the same "
                "images; clean (open), it is chosen on one half of the test set and reported on "
                "the other. Choosing and reporting on the same set flatters a method by the "
                "difference.",
                *sentences,
                words.intervals(table),
            ]
        )
