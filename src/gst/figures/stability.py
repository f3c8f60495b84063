"""Figures of the stability study (Bartoldson et al., NeurIPS 2020): accuracy and the gap."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.correlations import PUBLISHED
from gst.analysis.frames import groups, rows
from gst.figures import clouds, lines, style, words
from gst.registry import register

PROTOCOLS = {"published": "as published", "clean": "final epoch"}

CROWD = 7
"""Most variants in one panel of curves, beside the reference."""


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
        return lines.accuracies(curves)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw the whole training, and its second half without drops.

        There is a row for each benchmark, or several where it has many variants.
        """
        looks = style.variants(table["method"])
        shown = {}
        for (benchmark,), own in groups(table, "benchmark"):
            for number, names in enumerate(_crowds(looks, set(own["method"]))):
                shown[f"{benchmark}/{number}"] = (own, names)
        parts = [lines.WHOLE, lines.LATE]
        figure, axes = style.panels(parts, list(shown), size=(4.6, 3.1))
        for (row, part), ax in axes.items():
            own, names = shown[row]
            lines.accuracy(ax, own, {name: looks[name] for name in names}, part)
            ax.set_title(f"{row.rsplit('/', 1)[0]}, {part}")
        lines.legend(figure, looks)
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
        return "\n\n".join(
            [
                "Test accuracy during training. A vertical drop is an event: accuracy right "
                "before and right after filters or weights were removed or noised. The deeper the "
                "drops, the less stable the training.",
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
        kept = runs[["benchmark", "method", "target", "seed", "events", "stability"]]
        parts = [
            kept.assign(protocol="published", value=published),
            kept.assign(protocol="clean", value=clean),
        ]
        found = pd.concat(parts, ignore_index=True)
        return found.dropna(subset=["stability", "value"], ignore_index=True)

    @classmethod
    @style.styled
    def draw(cls, table: pd.DataFrame) -> Figure:
        benchmarks = words.unique(table["benchmark"])
        figure, axes = style.panels(list(PROTOCOLS), benchmarks, size=(4.0, 3.3))
        looks = style.variants(table["method"])
        for (benchmark, protocol), ax in axes.items():
            own = table[(table["protocol"] == protocol) & (table["benchmark"] == benchmark)]
            stability, value = 100 * own["stability"], 100 * own["value"]
            clouds.cloud(ax, own.assign(counted=own["events"] > 0), stability, value, looks)
            ax.set(xlabel="Stability (%)", ylabel=cls.label)
            ax.set_title(f"{benchmark}, {PROTOCOLS[protocol]}", pad=clouds.PAD)
        clouds.legend(figure, looks)
        style.note(figure, f"{clouds.NOTE} that were pruned or noised while training.")
        return figure

    @classmethod
    def caption(cls, table: pd.DataFrame) -> str:
        sentences = []
        for (protocol, benchmark), own in groups(table, "protocol", "benchmark"):
            pruned = own[own["events"] > 0]
            kinds = {"pruned or noised while training": pruned}
            if set(PUBLISHED) < set(pruned["method"]):
                kinds[f"of {words.listing(PUBLISHED)}"] = own[own["method"].isin(PUBLISHED)]
            kinds["in all"] = own
            texts = [
                f"{clouds.sentence(some['stability'], some['value'], some['target'])} over the "
                f"{len(some)} runs {kind}"
                for kind, some in kinds.items()
            ]
            sentences.append(f"{benchmark}, {PROTOCOLS[protocol]}: {'; '.join(texts)}.")
        end = "Brackets are bootstrapped 95% intervals."
        return "\n\n".join([cls.introduction, *sentences, end])


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
        "right after an event, against its test accuracy. As published, the best epoch from the "
        "last event on counts; beside it, the final epoch."
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


def _crowds(looks: dict[str, style.Variant], present: set[str]) -> list[list[str]]:
    """Return the variants of one benchmark, panel by panel, the unpruned ones in each."""
    others = [name for name in looks if name in present and name != "none"]
    panels = max(-(-len(others) // CROWD), 1)
    size = -(-len(others) // panels)
    first = ["none"] if "none" in present else []
    return [[*first, *others[k * size : (k + 1) * size]] for k in range(panels)]
