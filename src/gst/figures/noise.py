"""Figure of the stability study about temporary noise in place of pruning."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from gst.analysis.correlations import ACCURACY
from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import lines, style, words
from gst.registry import register

NOISES = {
    "zero": "zeroing",
    "restore": "zeroing and return",
    "gaussian": "Gaussian noise",
}
"""Kinds of temporary noise, as titles name them."""

REFERENCES = ("none", "filters")
"""Interventions that noise is held against: none, and pruning."""

PROTOCOLS = {"published": "best epoch, as published", "clean": "final epoch"}
FILL = {"published": None, "clean": "white"}
END = "accuracy by duration"


@register(
    "stability_noise",
    title="Temporary noise in place of pruning",
    study="stability",
    tables=("curves", "runs"),
    needs=("noise",),
)
class Noise:
    """Accuracy during and after training with temporary noise (Figure 5, Appendix D)."""

    @staticmethod
    def summarise(curves: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
        """Return mean accuracies during training (by epoch) and at its end (by protocol).

        Each variant has its intervention, and the training batches that noise lasts for.
        """
        facts = runs[["benchmark", "method", "intervention", "batches"]].drop_duplicates()
        facts = facts[facts["intervention"].isin([*REFERENCES, *NOISES])]
        noisy = facts.loc[facts["intervention"].isin(list(NOISES)), "benchmark"]
        if noisy.empty:
            raise ValueError("no run has temporary noise, so there is no figure of it")
        facts = facts[facts["benchmark"].isin(noisy)]
        runs = runs.assign(test_accuracy=1 - runs["test_error"])
        ends = [
            summarise(runs, ["benchmark", "method"], column).assign(protocol=protocol)
            for protocol, column in ACCURACY.items()
        ]
        table = pd.concat([lines.accuracies(curves), *ends])
        return facts.merge(table, on=["benchmark", "method"])

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row for each benchmark and kind of noise."""
        pairs = table.loc[table["intervention"].isin(list(NOISES)), ["benchmark", "intervention"]]
        ordered = pairs.drop_duplicates().sort_values(
            "intervention", key=lambda names: names.map(list(NOISES).index), kind="stable"
        )
        names = [f"{row.benchmark}/{row.intervention}" for row in rows(ordered)]
        parts = [lines.WHOLE, lines.LATE, END]
        figure, axes = style.panels(parts, names, size=(4.2, 3.1))
        looks = style.variants(table["method"])
        held_against = table.loc[table["intervention"].isin(REFERENCES), "method"].unique()
        looks |= {name: looks[name]._replace(line="--") for name in held_against}
        for (name, part), ax in axes.items():
            benchmark, noise = name.rsplit("/", 1)
            own = table[
                (table["benchmark"] == benchmark) & table["intervention"].isin([noise, *REFERENCES])
            ]
            if part == END:
                _ends(ax, own[own["protocol"].notna()], looks)
            else:
                shown = {name: looks[name] for name in looks if name in set(own["method"])}
                lines.accuracy(ax, own[own["epoch"].notna()], shown, part)
            ax.set_title(f"{benchmark}:\n{NOISES[noise]}, {part}")
        lines.legend(figure, looks)
        style.note(
            figure,
            f"Right: filled, {PROTOCOLS['published']}; open, {PROTOCOLS['clean']}; horizontal: "
            "variants without temporary noise, dashed at the best epoch, dotted at the final one. "
            f"{words.intervals(table)}",
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what each variant reaches."""
        sentences = []
        for (benchmark, protocol), own in groups(
            table.dropna(subset="protocol"), "benchmark", "protocol"
        ):
            parts = [f"{row.method} {words.interval(row, 100, 1, '%')}" for row in rows(own)]
            sentences.append(f"{benchmark}, {PROTOCOLS[protocol]}: {', '.join(parts)}.")
        return "\n\n".join(
            [
                "Test accuracy when the filters that a schedule would prune get temporary noise "
                "instead, for a number of training batches. After zeroing, filters train on from "
                "zero, or return to what they were. A vertical drop is an event; accuracy is "
                "measured under the noise. Dashed curves: variants without temporary noise.",
                *sentences,
                words.intervals(table),
            ]
        )


def _ends(ax: Axes, table: pd.DataFrame, looks: dict[str, style.Variant]) -> None:
    """Draw accuracy against the batches of noise, with the references as lines and bands."""
    dashes = {"published": "--", "clean": ":"}
    for protocol, fill in FILL.items():
        own = table[table["protocol"] == protocol]
        for row in rows(own[own["batches"].isna()]):
            colour = looks[row.method].colour
            ax.axhspan(100 * row.low, 100 * row.high, color=colour, alpha=0.1, linewidth=0)
            ax.axhline(100 * row.mean, color=colour, linestyle=dashes[protocol], linewidth=1.1)
        noisy = own.dropna(subset="batches").sort_values("batches")
        beside = 1.07 if protocol == "clean" else 1 / 1.07
        ax.plot(
            noisy["batches"] * beside,
            100 * noisy["mean"],
            color=style.GREY,
            linewidth=0.8,
            zorder=1,
        )
        for method, look in looks.items():
            point = noisy[noisy["method"] == method]
            given: style.Look = {"color": look.colour, "marker": "o", "mfc": fill or look.colour}
            style.points(ax, point["batches"] * beside, point, 100, **given)
    durations = sorted(set(table["batches"].dropna()))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(durations))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(durations[0] / 1.6, durations[-1] * 1.6)
    ax.set(xlabel="Training batches that see the noise", ylabel="Test accuracy (%)")
