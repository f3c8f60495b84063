"""Figure of the stability study that compares all variants in all that is measured."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import clouds, style, words
from gst.registry import register


class Panel(NamedTuple):
    """What a panel shows: its axis, the measure, and the factor on it."""

    label: str
    measure: str
    scale: float = 100


PANELS = (
    Panel("Stability (%)", "stability"),
    Panel("Best test accuracy (%)", "best_test_accuracy"),
    Panel("Final test accuracy (%)", "test_accuracy"),
    Panel("Final train accuracy (%)", "train_accuracy"),
    Panel("Epochs to recover", "recovery_epochs", 1),
    Panel("Gap, best epoch (points)", "gap"),
    Panel("Gap, final epoch (points)", "final_gap"),
    Panel("Final test loss (nats)", "test_loss", 1),
    Panel("Final train loss (nats)", "train_loss", 1),
    Panel("Parameters removed (%)", "reduction_own"),
)
ACROSS = 5
"""Panels beside each other."""

PHYSICAL = "reduction_physical"
PARTIAL = {"recovery_epochs", "reduction_own", PHYSICAL}
"""Measures that a run may lack without having diverged."""


@register(
    "stability_means",
    title="All variants in comparison",
    study="stability",
    tables=("runs",),
    needs=(),
)
class Means:
    """Means of every variant, with intervals (Tables C.1 and F.1, Appendix C, comparisons)."""

    @staticmethod
    def summarise(runs: pd.DataFrame) -> pd.DataFrame:
        """Return mean and interval of each measure by benchmark and method."""
        runs = runs.assign(test_accuracy=1 - runs["test_error"])
        runs["final_gap"] = runs["train_accuracy"] - runs["test_accuracy"]
        measures = [*(panel.measure for panel in PANELS), PHYSICAL]
        long = runs.melt(["benchmark", "method", "seed"], measures, "measure", "value")
        long = long[long["value"].notna() | ~long["measure"].isin(PARTIAL)]
        return summarise(long, ["benchmark", "method", "measure"], "value")

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw two rows a benchmark, a panel a measure, a line a variant."""
        benchmarks = words.unique(table["benchmark"])
        looks = style.variants(table["method"])
        names = {
            benchmark: [name for name in looks if name in set(own["method"])]
            for (benchmark,), own in groups(table, "benchmark")
        }
        height = 0.9 + 0.2 * max(map(len, names.values()))
        lines = [f"{name}/{part}" for name in benchmarks for part in range(2)]
        columns = [str(column) for column in range(ACROSS)]
        figure, axes = style.panels(columns, lines, size=(2.5, height))
        for (line, column), ax in axes.items():
            benchmark, part = line.rsplit("/", 1)
            panel = PANELS[ACROSS * int(part) + int(column)]
            own = table[table["benchmark"] == benchmark].set_index("method")
            for at, name in enumerate(names[benchmark]):
                look = looks[name]
                shown = [(panel.measure, look.colour)]
                if panel.measure == "reduction_own":
                    shown.append((PHYSICAL, "white"))
                for measure, fill in shown:
                    point = own[(own.index == name) & (own["measure"] == measure)]
                    style.points(
                        ax,
                        [at] * len(point),
                        point,
                        panel.scale,
                        flat=True,
                        color=look.colour,
                        marker=look.marker,
                        mfc=fill,
                    )
            none = own[(own.index == "none") & (own["measure"] == panel.measure)]
            for row in rows(none):
                ax.axvline(panel.scale * row.mean, color=style.GREY, linestyle=":", linewidth=1)
            ax.set(xlabel=panel.label, ylabel="Variant")
            ax.set_title(benchmark, fontsize=8)
            ax.set_yticks(range(len(names[benchmark])), names[benchmark])
            ax.set_ylim(len(names[benchmark]) - 0.4, -0.6)
            ax.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
            ax.ticklabel_format(axis="x", useOffset=False)
            ax.tick_params(labelleft=column == "0")
            ax.yaxis.label.set_visible(column == "0")
        clouds.legend(figure, looks)
        style.note(
            figure,
            "Dotted: without pruning. Best: among the epochs from the last event on, as published. "
            "Parameters removed: filled, the pruned filters' own; open, those that read them, too. "
            f"{words.intervals(table)}",
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say which variants are the most accurate and the least stable, beside no pruning."""
        sentences = []
        for (benchmark,), own in groups(table, "benchmark"):
            parts = []
            for measure, name in (
                ("best_test_accuracy", "best test accuracy, as published"),
                ("test_accuracy", "final test accuracy"),
            ):
                line = own[own["measure"] == measure]
                ends = line.loc[[line["mean"].idxmax(), line["mean"].idxmin()]]
                shown = pd.concat([line[line["method"] == "none"], ends]).drop_duplicates("method")
                texts = [f"{row.method} {words.interval(row, 100, 1, '%')}" for row in rows(shown)]
                parts.append(f"{name}: {', '.join(texts)}")
            line = own[own["measure"] == "stability"]
            least = next(rows(line.loc[[line["mean"].idxmin()]]))
            parts.append(f"least stable: {least.method} {words.interval(least, 100, 1, '%')}")
            sentences.append(f"{benchmark}, {'; '.join(parts)}.")
        return "\n\n".join(
            [
                "Every variant in all that is measured on it. Of the accuracies the one without "
                "pruning, the highest and the lowest are named. Epochs to recover: until test "
                "accuracy is again what it was before an event that cost some.",
                *sentences,
                words.intervals(table),
            ]
        )
