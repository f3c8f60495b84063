"""Figures of both studies together: what each account of generalization predicts."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.prediction import POOLED, TOGETHER, evaluate
from gst.analysis.statistics import MINIMUM, summarise
from gst.figures import style, words
from gst.registry import register

NAMES = {
    "size": "size",
    "length": "length of training",
    "stability": "stability",
    "flatness": "flatness",
    "loss": "loss on noisy or\nhard examples",
    TOGETHER: TOGETHER,
}
"""How axes name the accounts."""

STATISTICS = {
    "alone": ("what it predicts alone", "$R^2$ on seeds left out"),
    "unique": ("what only it predicts", "$R^2$ lost without it"),
    "correlation": ("direction", "Rank correlation with accuracy"),
}
"""Title and axis of each column of panels."""

RANGES = {"alone": (-0.4, 1.0), "unique": (-0.4, 1.0), "correlation": (-1.0, 1.0)}
"""What the axes show; values beyond stand at the edge."""

MEANING = (
    "Size is the share of the weights that remain, length the epochs spent; stability is the mean "
    "share of the accuracy that is left right after each pruning that led to the run; flatness is "
    "minus the trace of the Hessian over the weights that remain, on training images; loss is "
    "that on the examples with a wrong label or, without label noise, on the fifth of the examples "
    "that EL2N calls most influential."
)


class _Accounts:
    """How far each account predicts the test accuracy of runs, seeds left out in turn."""

    @staticmethod
    def summarise(accounts: pd.DataFrame) -> pd.DataFrame:
        """Return what `prediction.evaluate` finds."""
        table = evaluate(accounts)
        if table.empty:
            raise ValueError(
                "no two runs of a benchmark and noise level have all accounts and differ in any, "
                "so nothing can be predicted"
            )
        return table

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row for each benchmark and one for all; accounts below each other."""
        figure, axes = style.panels(
            list(STATISTICS), words.unique(table["benchmark"]), size=(3.3, 3.0)
        )
        colours = style.shades(table["noise"].dropna())
        shown = [name for name in NAMES if name in set(table["account"])]
        for (benchmark, statistic), ax in axes.items():
            own = table[(table["benchmark"] == benchmark) & (table["statistic"] == statistic)]
            _panel(ax, own, shown, colours, RANGES[statistic])
            title, label = STATISTICS[statistic]
            ax.set_title(f"{benchmark}:\n{title}")
            ax.set(xlabel=label, ylabel="Account")
        entries = [
            (words.noise(noise), {"color": colour, **_point(noise)})
            for noise, colour in colours.items()
        ]
        if POOLED in set(table["benchmark"]):
            entries.append((POOLED, {"color": style.GREY, **_point(np.nan)}))
        style.legend(figure, entries)
        style.note(figure, _intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say which account predicts best in each condition, and what only one predicts."""
        sentences = []
        for (benchmark, noise), own in groups(table, "benchmark", "noise"):
            place = f"{benchmark}, {words.noise(noise)}" if isfinite(noise) else benchmark
            scores = {row.account: row for row in rows(own[own["statistic"] == "alone"])}
            first = next(iter(scores.values()))
            head = f"{place} ({first.runs} runs of {_seeds(own)})"
            if not isfinite(first.mean):
                sentences.append(f"{head}: too few to predict one seed from others.")
                continue
            whole = scores.pop(TOGETHER)
            best = max(scores.values(), key=lambda row: row.mean)
            unique = max(
                rows(own[own["statistic"] == "unique"]), key=lambda row: row.mean, default=None
            )
            text = (
                f"{head}: {_name(best)} predicts best alone, R2 {words.interval(best)}; all "
                f"together {words.interval(whole)}"
            )
            if unique is not None and len(scores) > 1:
                text += f"; most is lost without {_name(unique)}, {words.interval(unique)}"
            if own["n"].max() < MINIMUM:
                text += "; with so few seeds this is inconclusive"
            sentences.append(f"{text}.")
        return "\n\n".join(
            [
                "How far five accounts of generalization predict test accuracy at the final epoch, "
                "across the same runs (dense, pruned, extended and narrower networks, or the "
                "variants of the stability study).",
                MEANING,
                "Left: a line that may bend at five points is fitted to accuracy against the rank "
                "of the account, on the runs of all other seeds, and predicts the runs of the seed "
                "left out; 1 is a perfect prediction, 0 is no better than the mean, below 0 is "
                "worse. So an account counts that is best in the middle, which a correlation does "
                "not see. Middle: what the prediction by all accounts together loses when one is "
                "left out; near 0 where the others know as much. Right: Spearman's correlation "
                "within a seed; above 0, networks with more of it (larger, trained longer, more "
                "stable, flatter, of higher loss) are more accurate. Prediction is no cause.",
                *sentences,
                _intervals(table),
            ]
        )


@register(
    "regularization_accounts",
    title="What predicts test accuracy: five accounts on the same runs",
    study="regularization",
    tables=("accounts",),
    needs=("pruned", "flatness"),
)
class RegularizationAccounts(_Accounts):
    """What size, length, stability, flatness and loss predict along the levels."""


@register(
    "stability_accounts",
    title="What predicts test accuracy of networks pruned while training",
    study="stability",
    tables=("accounts",),
    needs=("flatness", "el2n"),
)
class StabilityAccounts(_Accounts):
    """What size, stability, flatness and loss predict over the variants."""


ROWS = {
    "test_error": ("test error", "Test error (%)", 100),
    "stability": ("stability of the step", "Accuracy left right\nafter pruning (%)", 100),
    "trace_hutchinson": ("sharpness", "Tr(H), training images", 1),
}
"""What is drawn along the levels: title, axis and scale of each measure."""


@register(
    "regularization_levels",
    title="Stability and flatness along the levels of pruning",
    study="regularization",
    tables=("runs", "flatness"),
    needs=("pruned", "flatness"),
)
class Levels:
    """Test error, stability of every pruning step, and flatness, against weights remaining."""

    @staticmethod
    def summarise(runs: pd.DataFrame, flatness: pd.DataFrame) -> pd.DataFrame:
        """Return the mean of each measure by benchmark, noise and level of pruning."""
        keys = ["benchmark", "noise", "level"]
        names = [*keys, "method", "seed"]
        flat = flatness.loc[flatness["split"] == "train", [*names, "trace_hutchinson"]]
        own = runs[runs["method"].isin(["dense", "pruned"])].merge(flat, on=names, how="left")
        own["stability"] = own["stability"].where(own["level"] > 0)
        shares = own.groupby(keys, sort=False, as_index=False)["weights_remaining"].mean()
        parts = [
            summarise(own, keys, measure).assign(measure=measure).query("n > 0") for measure in ROWS
        ]
        return shares.merge(pd.concat(parts, ignore_index=True), on=keys)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a column for each benchmark, measures below each other, noise by colour."""
        benchmarks = words.unique(table["benchmark"])
        figure, axes = style.panels(benchmarks, list(ROWS), size=(3.9, 2.5))
        colours = style.shades(table["noise"])
        for (measure, benchmark), ax in axes.items():
            whole = table[table["benchmark"] == benchmark]
            own = whole[whole["measure"] == measure]
            title, label, scale = ROWS[measure]
            for (noise,), line in groups(own, "noise"):
                line = line.sort_values("level")
                x = 100 * line["weights_remaining"]
                mean, low, high = (scale * line[name] for name in ("mean", "low", "high"))
                look = {"color": colours[noise], "marker": style.METHOD_MARKERS["pruned"]}
                style.band(ax, x, mean, low, high, markersize=3.5, **look)
            style.weights_axis(ax, whole["weights_remaining"])
            ax.set_yscale(
                style.scale_of(own["mean"]) if measure == "trace_hutchinson" else "linear"
            )
            ax.set(title=f"{benchmark}: {title}", ylabel=label)
        style.legend(
            figure, [(words.noise(noise), {"color": colour}) for noise, colour in colours.items()]
        )
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say where pruning becomes unstable, and how the trace of the Hessian changes."""
        sentences = []
        for (benchmark, noise), own in groups(table, "benchmark", "noise"):
            steps, traces = (
                list(rows(own[own["measure"] == measure].sort_values("level")))
                for measure in ("stability", "trace_hutchinson")
            )
            place = f"{benchmark}, {words.noise(noise)}"
            if steps:
                worst = min(steps, key=lambda row: row.mean)
                sentences.append(
                    f"{place}: the least stable step leaves {words.interval(worst, 100, 1, '%')} "
                    f"of the accuracy, at {words.weights(worst.weights_remaining)} of the weights."
                )
            if traces:
                first, last = traces[0], traces[-1]
                sentences.append(
                    f"{place}: Tr(H) goes from {words.estimate(first)} to {words.estimate(last)} "
                    f"at {words.weights(last.weights_remaining)} of the weights."
                )
        return "\n\n".join(
            [
                "Along the levels of iterative pruning, against the weights that remain: test "
                "error after training; stability, the share of the test accuracy that is left "
                "right after the pruning before a level's first step; and sharpness, the trace of "
                "the Hessian of the training loss over the weights that remain, estimated without "
                "bias on training images (small is flat).",
                *sentences,
                words.intervals(table),
            ]
        )


def _panel(
    ax: Axes,
    table: pd.DataFrame,
    shown: list[str],
    colours: dict[float, str],
    ends: tuple[float, float],
) -> None:
    """Draw accounts below each other, a point and an interval for each level of noise."""
    values = ["mean", "low", "high"]
    table = table.assign(**table[values].clip(*ends))
    ax.axvline(0, color=style.GREY, linewidth=0.8)
    parts = [part for _, part in groups(table, "noise")]
    for place, own in enumerate(parts):
        noise = own["noise"].iloc[0]
        shift = 0.6 * ((place + 0.5) / len(parts) - 0.5)
        at = [shown.index(name) + shift for name in own["account"]]
        look = {"color": colours.get(noise, style.GREY), **_point(noise)}
        style.points(ax, at, own, flat=True, **look)
    ax.set_yticks(range(len(shown)), [NAMES[name] for name in shown])
    ax.set_xlim(ends[0] - 0.05, ends[1] + 0.05)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def _point(noise: float) -> style.Look:
    return {"linestyle": "", "marker": "o" if isfinite(noise) else "D", "markersize": 4.5}


def _name(row: Any) -> str:
    return NAMES[row.account].replace("\n", " ")


def _seeds(table: pd.DataFrame) -> str:
    n = int(table["n"].max())
    return "1 seed" if n == 1 else f"{n} seeds"


def _intervals(table: pd.DataFrame) -> str:
    """Say what the intervals are, and over how many seeds."""
    n, runs = (_range(table[name]) for name in ("n", "runs"))
    text = (
        f"Bars are Student's 95% intervals over seeds (n = {n}); values beyond a panel stand "
        f"at its edge. The {runs} runs of a condition are not independent: those of a seed share "
        "their start."
    )
    if table["n"].min() < MINIMUM:
        text += f" With fewer than {MINIMUM} seeds there is no interval: inconclusive."
    return text


def _range(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low} to {high}"
