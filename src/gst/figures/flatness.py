"""Figures of the stability study about the flatness of the loss around the final weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import clouds, lines, style, words
from gst.registry import register

MEASURES = {
    "trace_top": "Tr(H)",
    "gradient_noise": "Tr(C)",
    "tic": "Tr(C) / Tr(H)",
    "epsilon": "epsilon",
}
"""Measures of flatness, by column of the flatness table, as axes name them."""

SPLITS = {"test": "test images, as published", "train": "training images"}

KINDS = {"mean": "mean over directions", "worst": "worst direction"}
"""How the rises of the loss along several directions are put together."""

RISE, SMALLEST = 0.1, 0.001
"""Rise of the loss that epsilon is the step to, and the smallest that is shown, in nats."""


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
        keys = [
            *("benchmark", "split", "method", "target", "seed"),
            *("stability", "best_test_accuracy"),
        ]
        ends = flatness["epsilon_censored"].astype(bool)
        long = flatness.assign(censored=ends).melt(
            [*keys, "censored"], list(MEASURES), "measure", "value"
        )
        long["censored"] &= long["measure"] == "epsilon"
        return long.dropna(subset=["stability", "value"], ignore_index=True)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw two rows a benchmark, a column a measure, of flatness on test images."""
        shown = _as_published(table).assign(counted=True)
        benchmarks = words.unique(shown["benchmark"])
        kinds = [f"{name}/{kind}" for name in benchmarks for kind in ("stability", "accuracy")]
        figure, axes = style.panels(list(MEASURES), kinds, size=(3.2, 2.8))
        looks = style.variants(shown["method"])
        for (row, measure), ax in axes.items():
            benchmark, kind = row.rsplit("/", 1)
            own = shown[(shown["benchmark"] == benchmark) & (shown["measure"] == measure)]
            name = MEASURES[measure]
            stability, accuracy = 100 * own["stability"], 100 * own["best_test_accuracy"]
            if kind == "stability":
                clouds.cloud(ax, own, stability, own["value"], looks)
                ax.set(xlabel="Stability (%)", ylabel=name)
                ax.set_yscale(style.scale_of(own["value"]))
            else:
                clouds.cloud(ax, own, own["value"], accuracy, looks)
                ax.set(xlabel=name, ylabel="Test accuracy (%)")
                ax.set_xscale(style.scale_of(own["value"]))
            ax.set_title(f"{benchmark}: {name}", pad=clouds.PAD)
        clouds.legend(figure, looks)
        images = shown["split"].iloc[0]
        style.note(
            figure, f"Flatness on {images} images. {clouds.NOTE} that are shown.{_censored(shown)}"
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how each measure goes with stability and with accuracy."""
        shown = _as_published(table)
        sentences = []
        for (benchmark, measure), own in groups(shown, "benchmark", "measure"):
            before = clouds.sentence(own["stability"], own["value"], own["target"])
            after = clouds.sentence(own["value"], own["best_test_accuracy"], own["target"])
            sentences.append(
                f"{benchmark}, {MEASURES[measure]}: with stability {before}; with accuracy "
                f"{after}; n = {len(own)}."
            )
        return "\n\n".join(
            [
                "Top: stability of a run's pruning against the flatness of its end. Bottom: that "
                "flatness against test accuracy, as published. Small Tr(H), Tr(C) and Tr(C)/Tr(H) "
                "and a large epsilon are flat. Runs without pruning and scratch runs count as "
                f"100% stable. Flatness is measured on {shown['split'].iloc[0]} images.",
                *sentences,
                "Brackets are bootstrapped 95% intervals." + _censored(shown),
            ]
        )


@register(
    "stability_spectra",
    title="Leading eigenvalues of the Hessian",
    study="stability",
    tables=("spectra",),
    needs=("flatness",),
)
class Spectra:
    """The Hessian's eigenvalues of largest magnitude (Appendix E)."""

    @staticmethod
    def summarise(spectra: pd.DataFrame) -> pd.DataFrame:
        """Return the mean magnitude of each rank's eigenvalue, and the share that is negative."""
        keys = ["benchmark", "split", "method", "rank"]
        signed = spectra.assign(
            magnitude=spectra["eigenvalue"].abs(), negative=spectra["eigenvalue"] < 0
        )
        negative = signed.groupby(keys, as_index=False, sort=False)["negative"].mean()
        return summarise(signed, keys, "magnitude").merge(negative, on=keys, validate="1:1")

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row a benchmark, a column a split of the data, a line a variant."""
        splits = [split for split in SPLITS if (table["split"] == split).any()]
        figure, axes = style.panels(splits, words.unique(table["benchmark"]), size=(4.4, 3.1))
        looks = style.variants(table["method"])
        for (benchmark, split), ax in axes.items():
            own = table[(table["benchmark"] == benchmark) & (table["split"] == split)]
            lines.variants(ax, own, "rank", looks)
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set(
                title=f"{benchmark}, {SPLITS[split]}",
                xlabel="Rank by magnitude",
                ylabel="Magnitude of the eigenvalue",
                yscale=style.scale_of(own.loc[own["mean"] > 0, "mean"]),
            )
        lines.legend(figure, looks)
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how large each variant's largest eigenvalue is, and how many are negative."""
        sentences = []
        for (benchmark, split), own in groups(table, "benchmark", "split"):
            first = own[own["rank"] == 1]
            parts = [f"{row.method} {words.estimate(row)}" for row in rows(first)]
            sentences.append(
                f"{benchmark}, {SPLITS[split]}: largest {', '.join(parts)}; "
                f"{words.percent(own['negative'].mean())} of the {own['rank'].max()} shown are "
                "negative."
            )
        return "\n\n".join(
            [
                "Eigenvalues of the Hessian of the mean loss, those of largest magnitude; mean "
                "magnitude at each rank. Lower is flatter.",
                *sentences,
                words.intervals(table),
            ]
        )


@register(
    "stability_scans",
    title="Loss along the leading eigenvectors of the Hessian",
    study="stability",
    tables=("scans",),
    needs=("flatness",),
)
class Scans:
    """Rise of the loss along the Hessian's leading eigenvectors (Appendix E)."""

    @staticmethod
    def summarise(scans: pd.DataFrame) -> pd.DataFrame:
        """Return the mean rise of the loss by distance, over directions and in the worst one.

        An eigenvector has no sign, so that the distance is the magnitude of a step, and both
        signs count as directions.
        """
        run = ["benchmark", "split", "method", "seed"]
        centre = scans[scans["step"] == 0].groupby(run, sort=False)["loss"].mean().rename("centre")
        table = scans.merge(centre, on=run, validate="m:1")
        table = table.assign(rise=table["loss"] - table["centre"], distance=table["step"].abs())
        rises = table.groupby([*run, "distance"], sort=False)["rise"].agg(mean="mean", worst="max")
        long = rises.reset_index().melt([*run, "distance"], list(KINDS), "kind", "rise")
        found = summarise(long, ["benchmark", "split", "method", "kind", "distance"], "rise")
        directions = scans.groupby("benchmark")["direction"].max().rename("directions")
        return found.merge(directions, on="benchmark").sort_values(
            ["benchmark", "split", "kind", "method", "distance"], ignore_index=True
        )

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row for each benchmark and split, a column for the mean and the worst."""
        pairs = table[["benchmark", "split"]].drop_duplicates()
        names = [f"{row.benchmark}/{row.split}" for row in rows(pairs)]
        figure, axes = style.panels(list(KINDS), names, size=(4.4, 3.1))
        looks = style.variants(table["method"])
        for (row, kind), ax in axes.items():
            benchmark, split = row.rsplit("/", 1)
            own = table[
                (table["benchmark"] == benchmark)
                & (table["split"] == split)
                & (table["kind"] == kind)
            ]
            lines.variants(ax, own, "distance", looks)
            ax.axhline(RISE, color=style.GREY, linewidth=0.9, linestyle=":")
            ax.set_yscale("log", nonpositive="mask")
            ax.set_ylim(SMALLEST, 2 * np.nanmax([*own[["mean", "high"]].max(), RISE]))
            ax.set(
                title=f"{benchmark}, {SPLITS[split]}:\n{KINDS[kind]}",
                xlabel="Distance along an eigenvector",
                ylabel="Rise of the loss (nats)",
            )
        lines.legend(figure, looks)
        style.note(
            figure,
            f"Dotted: the rise of {RISE} that epsilon is measured at. {words.intervals(table)}",
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how much the loss rises at the longest distance."""
        sentences = []
        for (benchmark, split), own in groups(table, "benchmark", "split"):
            end = own[(own["distance"] == own["distance"].max()) & (own["kind"] == "mean")]
            parts = [f"{row.method} {words.estimate(row)}" for row in rows(end)]
            sentences.append(
                f"{benchmark}, {SPLITS[split]}: mean rise at {own['distance'].max():g} along the "
                f"{own['directions'].iloc[0]} leading directions {', '.join(parts)} nats."
            )
        return "\n\n".join(
            [
                "Rise of the loss when the weights move along unit eigenvectors of the Hessian, "
                "in either sign: the mean over directions, and the worst of them, which decides "
                "epsilon. Slower is flatter.",
                *sentences,
                words.intervals(table),
            ]
        )


def _as_published(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows measured on test images, as the paper did, or all if there are none."""
    test = table[table["split"] == "test"]
    return test if len(test) else table


def _censored(table: pd.DataFrame) -> str:
    count = int(table["censored"].sum())
    return f" {count} values of epsilon are at the end of the scan." if count else ""
