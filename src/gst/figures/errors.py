"""Test error at every level (regularization study)."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.figures import levels, style, words
from gst.registry import register

LINES = {"pruned": "-", "extended": ":", "width": ":"}


class _Errors:
    """Test error of some methods at every level, against `x`."""

    methods: ClassVar[tuple[str, ...]]
    x: ClassVar[str] = "weights_remaining"
    introduction: ClassVar[str]

    @classmethod
    def summarise(cls, runs: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
        return levels.means(runs, selected, cls.methods, "test_error")

    @classmethod
    @style.styled
    def draw(cls, table: pd.DataFrame) -> Figure:
        figure, axes = style.panels(words.unique(table["benchmark"]))
        colours = style.shades(table["noise"])
        for (_, benchmark), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            for (noise,), cell in groups(own, "noise"):
                colour = colours[noise]
                dense = cell[cell["method"] == "dense"]
                for method in cls.methods:
                    line = pd.concat([dense, cell[cell["method"] == method]])
                    levels.line(ax, line, cls.x, 100, color=colour, **_look(method))
                for row in rows(dense):
                    ax.axhline(100 * row.mean, color=colour, linestyle="--", linewidth=0.9)
            if cls.x == "weights_remaining":
                style.weights_axis(ax, own[cls.x])
            else:
                ax.set_xlabel("Training epochs, all levels together")
            ax.set(title=benchmark, ylabel="Test error (%)")
        style.legend(
            figure,
            [
                *levels.noise_legend(colours),
                *((method, {"color": style.GREY, **_look(method)}) for method in cls.methods),
                ("dense", levels.DENSE),
                ("optimal level", {"color": style.GREY, **levels.STAR}),
            ],
        )
        style.note(figure, words.intervals(table))
        return figure

    @classmethod
    def caption(cls, table: pd.DataFrame) -> str:
        star = "Stars mark the levels with the lowest error on the test set, as published."
        return "\n\n".join([cls.introduction, star, *levels.optima(table), words.intervals(table)])


@register(
    "regularization_error_weights",
    title="Test error against weights remaining",
    study="regularization",
    tables=("runs", "selected"),
    needs=("pruned",),
)
class ErrorWeights(_Errors):
    """Test error of pruned networks against weights remaining (Figure 3)."""

    methods = ("pruned",)
    introduction = (
        "Test error of iteratively pruned networks against the share of the weights that "
        "remain. The dashed line is the dense network."
    )


@register(
    "regularization_error_epochs",
    title="Test error against training time: pruning and extended dense training",
    study="regularization",
    tables=("runs", "selected"),
    needs=("pruned", "extended"),
)
class ErrorEpochs(_Errors):
    """Test error of pruned and of equally long trained dense networks (Figures 1a and 6)."""

    methods = ("pruned", "extended")
    x = "epochs_spent"
    introduction = (
        "Test error against the epochs spent, for pruning and for extended dense training: the "
        "same steps and learning rates with no weight removed. Where the two curves part, "
        "training time alone does not explain what pruning does."
    )


@register(
    "regularization_error_width",
    title="Test error against size: pruning and narrower networks",
    study="regularization",
    tables=("runs", "selected"),
    needs=("pruned", "width"),
)
class ErrorWidth(_Errors):
    """Test error of pruned and of narrower dense networks (Figure 7)."""

    methods = ("pruned", "width")
    introduction = (
        "Test error against weights remaining, for pruning and for dense networks of smaller "
        "width, which have as few weights but are trained only once. Where the two curves part, "
        "size alone does not explain what pruning does."
    )


def _look(method: str) -> style.Look:
    return {
        "marker": style.METHOD_MARKERS[method],
        "linestyle": LINES[method],
        "markersize": 3.5,
    }
