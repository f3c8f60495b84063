"""Figures of the stability study (Bartoldson et al., NeurIPS 2020)."""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import bootstrap_interval, kendall, pearson, summarise
from gst.figures import style, words
from gst.registry import register

PROTOCOLS = {"published": "as published", "clean": "final epoch"}
MEASURES = {
    "trace_top": "Tr(H)",
    "gradient_noise": "Tr(C)",
    "tic": "Tr(C) / Tr(H)",
    "epsilon": "epsilon",
}
"""Measures of flatness, by column of the flatness table, as axes name them."""

MOMENTS = {"test_accuracy": "trained", "pruned_accuracy": "pruned"}


@register(
    "stability_curves",
    title="Test accuracy during training",
    study="stability",
    tables=("curves",),
    needs=(),
)
class Curves:
    """Test accuracy during training, with the drops at pruning events (Figure 2, left)."""

    @staticmethod
    def summarise(curves: pd.DataFrame) -> pd.DataFrame:
        """Return mean accuracies by benchmark, method, epoch and moment (trained, pruned)."""
        keys = ["benchmark", "method", "epoch"]
        long = curves.melt([*keys, "seed"], list(MOMENTS), "moment", "accuracy")
        long = long.dropna(subset="accuracy").replace({"moment": MOMENTS})
        table = summarise(long, [*keys, "moment"], "accuracy")
        # "trained" comes before "pruned" already, and a stable sort keeps it so.
        return table.sort_values(keys, kind="stable", ignore_index=True)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one row a benchmark: the whole training, and its second half without drops."""
        whole, late = "whole training", "second half, drops left out"
        figure, axes = style.panels(
            [whole, late], words.unique(table["benchmark"]), size=(4.6, 3.1)
        )
        looks = style.variants(table["method"])
        for (benchmark, column), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            if column == late:
                own = own[own["epoch"] >= own["epoch"].max() / 2]
                own = own[own["moment"] == "trained"]
            for method, (colour, _) in looks.items():
                line = own[own["method"] == method]
                mean, low, high = (100 * line[name] for name in ("mean", "low", "high"))
                style.band(ax, line["epoch"], mean, low, high, color=colour, linewidth=1.1)
            ax.set(
                title=f"{benchmark}, {column}",
                xlabel="Finished epochs",
                ylabel="Test accuracy (%)",
            )
        style.legend(figure, [(name, {"color": colour}) for name, (colour, _) in looks.items()])
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what each variant reaches, and how deep the deepest drop is."""
        sentences = []
        for (benchmark,), own in groups(table, "benchmark"):
            last = own[(own["epoch"] == own["epoch"].max()) & (own["moment"] == "trained")]
            ends = [f"{row.method} {words.interval(row, 100, 1, '%')}" for row in rows(last)]
            sentences.append(f"{benchmark}, final epoch: {', '.join(ends)}.")
            means = own.pivot(index=["method", "epoch"], columns="moment", values="mean")
            if "pruned" in means:
                drops = means["trained"] - means["pruned"]
                method, epoch = drops.index[int(drops.argmax())]
                sentences.append(
                    f"The deepest mean drop, {100 * drops.max():.1f} points, is that of {method} "
                    f"at epoch {epoch}."
                )
        return " ".join(
            [
                "Test accuracy during training. A vertical drop is a pruning event: accuracy "
                "right before and right after filters were removed. The deeper the drops, the "
                "less stable the pruning.",
                *sentences,
                words.intervals(table),
            ]
        )


class _Scatter:
    """Stability of every run against a value of it, under both protocols."""

    label: ClassVar[str]
    introduction: ClassVar[str]

    @staticmethod
    def points(runs: pd.DataFrame, published: pd.Series, clean: pd.Series) -> pd.DataFrame:
        kept = runs[["benchmark", "method", "seed", "events", "stability"]]
        parts = [
            kept.assign(protocol="published", value=published),
            kept.assign(protocol="clean", value=clean),
        ]
        return pd.concat(parts, ignore_index=True).dropna(ignore_index=True)

    @classmethod
    @style.styled
    def draw(cls, table: pd.DataFrame) -> Figure:
        benchmarks = words.unique(table["benchmark"])
        figure, axes = style.panels(list(PROTOCOLS), benchmarks, size=(4.0, 3.1))
        looks = style.variants(table["method"])
        for (benchmark, protocol), ax in axes.items():
            own = table[(table["protocol"] == protocol) & (table["benchmark"] == benchmark)]
            stability, value = 100 * own["stability"], 100 * own["value"]
            _cloud(ax, stability, value, own["method"], looks, own["events"] > 0)
            ax.set(xlabel="Stability (%)", ylabel=cls.label)
            ax.set_title(f"{benchmark}, {PROTOCOLS[protocol]}", pad=14)
        _legend(figure, looks)
        style.note(
            figure,
            "A point is a run, a cross the mean of a variant with its 95% intervals. r: Pearson, "
            "\u03c4: Kendall, with 95% intervals, over the n runs that were pruned while training.",
        )
        return figure

    @classmethod
    def caption(cls, table: pd.DataFrame) -> str:
        sentences = []
        for (protocol, benchmark), own in groups(table, "protocol", "benchmark"):
            kinds = {"pruned while training": own[own["events"] > 0], "in all": own}
            texts = [
                f"{words.correlation('Pearson r', pearson(some['stability'], some['value']))}, "
                f"{words.correlation('Kendall tau', kendall(some['stability'], some['value']))} "
                f"over the {len(some)} runs {kind}"
                for kind, some in kinds.items()
            ]
            sentences.append(f"{benchmark}, {PROTOCOLS[protocol]}: {'; '.join(texts)}.")
        end = "Brackets are bootstrapped 95% intervals."
        return " ".join([cls.introduction, *sentences, end])


@register(
    "stability_accuracy",
    title="Stability of pruning against test accuracy",
    study="stability",
    tables=("runs",),
    needs=(),
)
class Accuracy(_Scatter):
    """Stability of pruning against test accuracy, a point a run (Figure 2, right)."""

    label = "Test accuracy (%)"
    introduction = (
        "Each point is a run: its stability, the mean share of the test accuracy that is left "
        "right after a pruning event, against its test accuracy. As published, the best epoch "
        "from the last pruning event on counts; beside it, the final epoch."
    )

    @classmethod
    def summarise(cls, runs: pd.DataFrame) -> pd.DataFrame:
        """Return stability and accuracy of every run under both protocols."""
        return cls.points(runs, published=runs["best_test_accuracy"], clean=1 - runs["test_error"])


@register(
    "stability_gap",
    title="Stability of pruning against the generalization gap",
    study="stability",
    tables=("runs",),
    needs=(),
)
class Gap(_Scatter):
    """Stability of pruning against the generalization gap, a point a run (Figure 4)."""

    label = "Train minus test accuracy\n(percentage points)"
    introduction = (
        "Each point is a run: its stability against its generalization gap, train minus test "
        "accuracy. As published, at the best test epoch, with the training accuracy measured "
        "while that epoch trained; beside it, with the final weights on the whole training set."
    )

    @classmethod
    def summarise(cls, runs: pd.DataFrame) -> pd.DataFrame:
        """Return stability and gap of every run under both protocols."""
        clean = runs["train_accuracy"] - (1 - runs["test_error"])
        return cls.points(runs, published=runs["gap"], clean=clean)


@register(
    "stability_flatness",
    title="Stability, flatness and test accuracy",
    study="stability",
    tables=("flatness",),
    needs=("flatness",),
)
class Flatness:
    """Stability against flatness, and flatness against test accuracy (Figure 6)."""

    @staticmethod
    def summarise(flatness: pd.DataFrame) -> pd.DataFrame:
        """Return every measure of every run, on each split, beside stability and accuracy."""
        keys = ["benchmark", "split", "method", "seed", "stability", "best_test_accuracy"]
        ends = flatness["epsilon_censored"].astype(bool)
        long = flatness.assign(censored=ends).melt(
            [*keys, "censored"], list(MEASURES), "measure", "value"
        )
        long["censored"] &= long["measure"] == "epsilon"
        return long.dropna(ignore_index=True)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw two rows a benchmark, a column a measure, of flatness on test images."""
        shown = _as_published(table)
        benchmarks = words.unique(shown["benchmark"])
        kinds = [f"{name}/{kind}" for name in benchmarks for kind in ("stability", "accuracy")]
        figure, axes = style.panels(list(MEASURES), kinds, size=(3.2, 2.6))
        looks = style.variants(shown["method"])
        for (row, measure), ax in axes.items():
            benchmark, kind = row.rsplit("/", 1)
            own = shown[(shown["benchmark"] == benchmark) & (shown["measure"] == measure)]
            name, everyone = MEASURES[measure], own["value"].notna()
            stability, accuracy = 100 * own["stability"], 100 * own["best_test_accuracy"]
            if kind == "stability":
                _cloud(ax, stability, own["value"], own["method"], looks, everyone)
                ax.set(xlabel="Stability (%)", ylabel=name)
                ax.set_yscale(_scale(own["value"]))
            else:
                _cloud(ax, own["value"], accuracy, own["method"], looks, everyone)
                ax.set(xlabel=name, ylabel="Test accuracy (%)")
                ax.set_xscale(_scale(own["value"]))
            ax.set_title(f"{benchmark}: {name}", pad=14)
        _legend(figure, looks)
        style.note(
            figure,
            f"Flatness on {shown['split'].iloc[0]} images. A point is a run, a cross the mean of "
            "a variant with its 95% intervals. r: Pearson, \u03c4: Kendall, with 95% intervals."
            + _censored(shown),
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how each measure goes with stability and with accuracy."""
        shown = _as_published(table)
        sentences = []
        for (benchmark, measure), own in groups(shown, "benchmark", "measure"):
            before = words.correlation("r", pearson(own["stability"], own["value"]))
            after = words.correlation("r", pearson(own["value"], own["best_test_accuracy"]))
            sentences.append(
                f"{benchmark}, {MEASURES[measure]}: with stability {before}; with accuracy "
                f"{after}; n = {len(own)}."
            )
        return " ".join(
            [
                "Top: stability of a run's pruning against the flatness of its end. Bottom: that "
                "flatness against test accuracy, as published. Small Tr(H), Tr(C) and Tr(C)/Tr(H) "
                "and a large epsilon are flat. Runs without pruning and scratch runs count as "
                f"100% stable. Flatness is measured on {shown['split'].iloc[0]} images.",
                *sentences,
                "Brackets are bootstrapped 95% intervals." + _censored(shown),
            ]
        )


def _as_published(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows measured on test images, as the paper did, or all if there are none."""
    test = table[table["split"] == "test"]
    return test if len(test) else table


def _censored(table: pd.DataFrame) -> str:
    count = int(table["censored"].sum())
    return f" {count} values of epsilon are at the end of the scan." if count else ""


def _cloud(
    ax: Axes,
    x: pd.Series,
    y: pd.Series,
    method: pd.Series,
    looks: dict[str, tuple[str, str]],
    counted: pd.Series,
) -> None:
    """Draw a point a run and a cross a variant: means and intervals of x and of y.

    The correlations over the counted runs stand above the panel.
    """
    for name, (colour, marker) in looks.items():
        own = method == name
        point: style.Look = {"color": colour, "marker": marker, "linestyle": ""}
        ax.plot(x[own], y[own], alpha=0.75, markersize=5, **point)
        across, along = bootstrap_interval(x[own]), bootstrap_interval(y[own])
        if isfinite(across.low) and isfinite(along.low):
            ax.errorbar(
                across.mean,
                along.mean,
                xerr=[[across.mean - across.low], [across.high - across.mean]],
                yerr=[[along.mean - along.low], [along.high - along.mean]],
                color=colour,
                linewidth=1.2,
            )
    found = {"r": pearson(x[counted], y[counted]), "\u03c4": kendall(x[counted], y[counted])}
    texts = [
        f"{name}={c.r:.2f} [{c.low:.2f}, {c.high:.2f}]"
        for name, c in found.items()
        if isfinite(c.r)
    ]
    text = ", ".join([*texts, f"n={int(counted.sum())}"])
    ax.text(0, 1.02, text, transform=ax.transAxes, fontsize=7, in_layout=False)


def _scale(values: pd.Series) -> str:
    """Return the scale for an axis: logarithmic if values span more than a factor of 30."""
    return "log" if values.min() > 0 and values.max() > 30 * values.min() else "linear"


def _legend(figure: Figure, looks: dict[str, tuple[str, str]]) -> None:
    style.legend(
        figure,
        [
            (name, {"color": colour, "marker": marker, "linestyle": ""})
            for name, (colour, marker) in looks.items()
        ],
    )
