"""Figures of the regularization study (Jin et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import style, words
from gst.registry import register

KEYS = ["benchmark", "noise", "method", "level"]
STAR: style.Look = {
    "linestyle": "",
    "marker": "*",
    "markersize": 13,
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
}
RANKING = ["networks", "spearman_halves", "reliability", "spearman_seeds"]
"""How stable the ranking of the examples is, as columns of the table el2n."""
DENSE: style.Look = {"color": style.GREY, "linestyle": "--", "linewidth": 0.9}
LINES = {"pruned": "-", "extended": ":", "width": ":", "original": "--", "noisy": "-"}


class _Errors:
    """Test error of some methods at every level, against `x`."""

    methods: ClassVar[tuple[str, ...]]
    x: ClassVar[str] = "weights_remaining"
    introduction: ClassVar[str]

    @classmethod
    def summarise(cls, runs: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
        return _level_means(runs, selected, cls.methods, "test_error")

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
                    _line(ax, line, cls.x, 100, color=colour, **_look(method))
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
                *_noise_legend(colours),
                *((method, {"color": style.GREY, **_look(method)}) for method in cls.methods),
                ("dense", DENSE),
                ("optimal level", {"color": style.GREY, **STAR}),
            ],
        )
        style.note(figure, words.intervals(table))
        return figure

    @classmethod
    def caption(cls, table: pd.DataFrame) -> str:
        star = "Stars mark the levels with the lowest error on the test set, as published."
        return " ".join([cls.introduction, star, *_optima(table), words.intervals(table)])


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
        return _level_means(runs, selected, methods, "test_error")

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a panel for each benchmark and noise: methods by colour, dense as a band."""
        noises = {words.noise(noise): noise for noise in sorted(set(table["noise"]))}
        wrap = 2 if len(noises) == 4 else 3
        figure, axes = style.panels(list(noises), words.unique(table["benchmark"]), wrap)
        looks = style.chains(words.unique(table.loc[table["level"] > 0, "method"]))
        for (benchmark, noise), ax in axes.items():
            own = table[(table["benchmark"] == benchmark) & (table["noise"] == noises[noise])]
            dense = own[own["method"] == "dense"]
            for row in rows(dense):
                if isfinite(row.low):
                    ax.axhspan(100 * row.low, 100 * row.high, color=style.GREY, alpha=0.18, lw=0)
                ax.axhline(100 * row.mean, **DENSE)
            for method, look in reversed(looks.items()):
                line = own[own["method"] == method]
                if len(line):
                    _line(ax, pd.concat([dense, line]), "weights_remaining", 100, **look)
            style.weights_axis(ax, own["weights_remaining"])
            ax.set(title=f"{benchmark}\n{noise}", ylabel="Test error (%)")
        star = ("optimal level", {"color": style.GREY, **STAR})
        style.legend(figure, [*looks.items(), ("dense", DENSE), star])
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what the best level of each way to prune reaches."""
        return " ".join(
            [
                "Test error against the share of the weights that remain, for iterative magnitude "
                "pruning with learning-rate rewinding (pruned) and for ways to prune that differ "
                "from it in one choice each: what is rewound, in how many rounds, and which "
                "weights go. The grey band is the dense network. Stars mark the levels with the "
                "lowest error on the test set.",
                *_optima(table),
                words.intervals(table),
            ]
        )


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
            _level_means(runs, selected, ("pruned",), f"loss_{part}").assign(examples=part)
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
                _line(ax, line, "weights_remaining", 1, **look)
            style.weights_axis(ax, own["weights_remaining"])
            ax.set(title=benchmark, ylabel="Mean training loss (nats)")
            ax.set_ylim(bottom=0)
        style.legend(
            figure,
            [
                *_noise_legend(colours),
                ("noisy examples", {"color": style.GREY}),
                ("original examples", {"color": style.GREY, "linestyle": "--"}),
                ("optimal level", {"color": style.GREY, **STAR}),
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
        return " ".join(
            [
                "Mean training loss of the final weights on the examples with a wrong label "
                "(solid) and with their original label (dashed), against weights remaining. "
                "Pruning regularises where the noisy examples' loss rises while the original "
                "ones' stays low.",
                *sentences,
                words.intervals(table),
            ]
        )


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
        style.legend(figure, _noise_legend(colours))
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


def _level_means(
    runs: pd.DataFrame, selected: pd.DataFrame, methods: Iterable[str], measure: str
) -> pd.DataFrame:
    """Return a measure's mean and interval at every level of dense training and of methods.

    The column `optimal` marks the levels that the published protocol chooses.
    """
    own = runs[runs["method"].isin(["dense", *methods])]
    facts = own.groupby(KEYS, sort=False, as_index=False)[
        ["weights_remaining", "epochs_spent"]
    ].mean()
    table = facts.merge(summarise(own, KEYS, measure), on=KEYS)
    best = selected[
        selected["method"].isin(list(methods))
        & (selected["protocol"] == "published")
        & (selected["which"] == "optimal")
    ]
    found = {
        (row.benchmark, row.noise, row.method if row.level else "dense", row.level)
        for row in rows(best)
    }
    keys = table[KEYS].itertuples(index=False, name=None)
    return table.assign(optimal=[key in found for key in keys])


def _look(method: str) -> style.Look:
    return {
        "marker": style.METHOD_MARKERS[method],
        "linestyle": LINES[method],
        "markersize": 3.5,
    }


def _line(ax: Axes, line: pd.DataFrame, x: str, scale: float, **look: Any) -> None:
    """Plot means against a column, with their intervals as a band and a star at the optimum."""
    line = line.sort_values("level")
    at = line[x] * (100 if x == "weights_remaining" else 1)
    mean, low, high = (scale * line[name] for name in ("mean", "low", "high"))
    style.band(ax, at, mean, low, high, **look)
    best = line["optimal"]
    ax.plot(at[best], mean[best], color=look["color"], zorder=5, **STAR)


def _noise_legend(colours: dict[float, str]) -> list[tuple[str, style.Look]]:
    return [(words.noise(noise), {"color": colour}) for noise, colour in colours.items()]


def _optima(table: pd.DataFrame) -> list[str]:
    """Say for each benchmark and noise what dense training and the best levels reach."""
    sentences = []
    for (benchmark, noise), cell in groups(table, "benchmark", "noise"):
        dense = next(rows(cell[cell["method"] == "dense"]))
        parts = [f"dense {words.interval(dense, 100, 1, '%')}"]
        for row in rows(cell[cell["optimal"] & (cell["level"] > 0)]):
            where = f"at {words.weights(row.weights_remaining)} of the weights"
            if row.method == "extended":
                where = f"after {row.epochs_spent:g} epochs"
            parts.append(f"best {row.method} {words.interval(row, 100, 1, '%')} {where}")
        if len(parts) == 1:
            parts.append("which no other level improves")
        sentences.append(f"{benchmark}, {words.noise(noise)}: {', '.join(parts)}.")
    return sentences


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
