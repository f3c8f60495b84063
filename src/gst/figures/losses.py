"""Training loss of original and of noisy examples (regularization study)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.figures import levels, style, words
from gst.registry import register

LINES = {"original": "--", "noisy": "-"}


@register(
    "regularization_losses",
    title="Training loss of original and of noisy examples",
    study="regularization",
    tables=("runs", "selected"),
    needs=("pruned",),
)
class Losses:
    """Training loss of the original and of the noisy examples (Figure 4)."""

    @staticmethod
    def summarise(runs: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
        """Return mean losses by benchmark, noise, level and examples (original, noisy)."""
        original, noisy = (
            levels.means(runs, selected, ("pruned",), f"loss_{part}").assign(examples=part)
            for part in ("original", "noisy")
        )
        return pd.concat([original, noisy[noisy["noise"] > 0]], ignore_index=True)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one panel a benchmark: noise by colour, examples by line style."""
        figure, axes = style.panels(words.unique(table["benchmark"]))
        colours = style.shades(table["noise"])
        for (_, benchmark), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            for (noise, part), line in groups(own, "noise", "examples"):
                look = {"color": colours[noise], "linestyle": LINES[part]}
                levels.line(ax, line, "weights_remaining", 1, **look)
            style.weights_axis(ax, own["weights_remaining"])
            ax.set(title=benchmark, ylabel="Mean training loss (nats)")
            ax.set_ylim(bottom=0)
        style.legend(
            figure,
            [
                *levels.noise_legend(colours),
                ("noisy examples", {"color": style.GREY}),
                ("original examples", {"color": style.GREY, "linestyle": "--"}),
                ("optimal level", {"color": style.GREY, **levels.STAR}),
            ],
        )
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how the losses of both kinds of examples change from dense to optimal."""
        sentences = []
        for (benchmark, noise), cell in groups(table[table["noise"] > 0], "benchmark", "noise"):
            dense, best = (
                {row.examples: f"{row.mean:.2f}" for row in rows(cell[chosen])}
                for chosen in (cell["level"] == 0, cell["optimal"])
            )
            if not best:
                continue
            sentences.append(
                f"{benchmark}, {words.noise(noise)}: from dense to optimally pruned the noisy "
                f"examples' loss goes from {dense['noisy']} to {best['noisy']}, the original "
                f"ones' from {dense['original']} to {best['original']}."
            )
        return "\n\n".join(
            [
                "Mean training loss of the final weights on the examples with a wrong label "
                "(solid) and with their original label (dashed), against weights remaining. "
                "Pruning regularises where the noisy examples' loss rises while the original "
                "ones' stays low.",
                *sentences,
                words.intervals(table),
            ]
        )
