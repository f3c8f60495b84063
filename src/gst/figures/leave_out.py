"""What becomes of a dense network without some examples, and what these look like."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import style, words
from gst.registry import register

CELL = ["benchmark", "noise"]
BY = {
    "improved": "the {percent:g}% that pruning\nimproves most",
    "misclassified": "those that the pruned\nnetwork misclassifies",
    "worsened-subgroup": "the EL2N group that\npruning worsens most",
    "random": "a random {percent:g}%",
}
"""What is left out, as labels say it."""
PRUNED = "nothing, but pruned"
"""Label of the pruned network that chose the examples at its optimal level."""
ACROSS = 8
"""Pictures beside each other."""


@register(
    "regularization_leave_out",
    title="Test error without the examples that pruning affects",
    study="regularization",
    tables=("left_out",),
    needs=("pruned", "leave_out"),
)
class LeavingOut:
    """Test error of dense networks trained without some examples (appendices D, E and K)."""

    @staticmethod
    def summarise(left_out: pd.DataFrame) -> pd.DataFrame:
        """Return how far each network's error is above that of the dense one, seeds paired."""
        order = {kind: place for place, kind in enumerate(BY)}
        table = left_out.sort_values(
            [*CELL, "by", "percent"],
            key=lambda column: column.map(order) if column.name == "by" else column,
            kind="stable",
        )
        labels = [BY[row.by].format(percent=row.percent) for row in rows(table)]
        table = table.assign(left_out=labels)
        optimal = table[table["which"] == "optimal"].drop_duplicates([*CELL, "seed"])
        pruned = optimal.assign(
            left_out=PRUNED, test_error=optimal["test_error_pruned"], share=0.0, share_noisy=np.nan
        )
        table = pd.concat([table, pruned], ignore_index=True)
        table["change"] = table["test_error"] - table["test_error_dense"]
        keys = [*CELL, "left_out"]
        facts = table.groupby(keys, sort=False, as_index=False).agg(
            level=("level", "first"),
            weights_remaining=("weights_remaining", "mean"),
            share=("share", "mean"),
            share_noisy=("share_noisy", "mean"),
            dense_error=("test_error_dense", "mean"),
            error=("test_error", "mean"),
        )
        return facts.merge(summarise(table, keys, "change"), on=keys)

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw one panel a benchmark: what is left out along y, noise by colour."""
        figure, axes = style.panels(words.unique(table["benchmark"]), wrap=2, size=(5.4, 3.4))
        colours = style.shades(table["noise"])
        for (_, benchmark), ax in axes.items():
            own = table[table["benchmark"] == benchmark]
            names = [*(name for name in words.unique(own["left_out"]) if name != PRUNED), PRUNED]
            noises = sorted(set(own["noise"]))
            ax.axvline(0, color=style.GREY, linewidth=0.8)
            for noise, line in ((noise, own[own["noise"] == noise]) for noise in noises):
                shift = 0.14 * (noises.index(noise) - (len(noises) - 1) / 2)
                at = np.array([names.index(name) for name in line["left_out"]]) + shift
                look = {"color": colours[noise], "marker": "o", "markersize": 5, "linestyle": ""}
                style.points(ax, at, line, 100, flat=True, **look)
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.grid(visible=False, axis="y")
            ax.set(
                title=benchmark,
                xlabel="Test error above the dense network (percentage points)",
                ylabel="Left out",
            )
        style.legend(
            figure,
            [
                (words.noise(n), {"color": c, "marker": "o", "linestyle": ""})
                for n, c in colours.items()
            ],
        )
        style.note(figure, words.intervals(table))
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say what leaving out each kind of examples does to the error."""
        sentences = []
        for (benchmark, noise), cell in groups(table, *CELL):
            texts = [_effect(row, noise) for row in rows(cell)]
            sentences.append(
                f"{benchmark}, {words.noise(noise)}, dense "
                f"{words.percent(cell['dense_error'].iloc[0])}; in percentage points, without "
                f"{'; '.join(texts)}."
            )
        return "\n\n".join(
            [
                "Test error of dense networks trained without some examples, above that of the "
                "dense network trained on all (left of zero: better). Examples are chosen by "
                "comparing, seed by seed, the training losses of the dense and of the pruned "
                "network: at the pruned level with the lowest test error, but for the EL2N group, "
                "at the sparsest level that beats dense.",
                *sentences,
                words.intervals(table),
            ]
        )


def _effect(row: Any, noise: float) -> str:
    name = row.left_out.replace("\n", " ")
    effect = f"{100 * row.mean:+.2f}"
    if isfinite(row.low):
        effect += f" [{100 * row.low:+.2f}, {100 * row.high:+.2f}]"
    size = "" if name == PRUNED or "random" in name else f" ({words.percent(row.share)} of all"
    if size and noise and isfinite(row.share_noisy):
        size += f", {words.percent(row.share_noisy)} of them wrongly labelled"
    return f"{name}{f'{size})' if size else ''} {effect}"


@register(
    "regularization_pictures",
    title="The examples whose training loss pruning raises most",
    study="regularization",
    tables=("pictures",),
    needs=("pruned",),
)
class Pictures:
    """The examples whose training loss pruning raises most, with their labels (appendix K)."""

    @staticmethod
    def summarise(pictures: pd.DataFrame) -> pd.DataFrame:
        """Return the table as it is: it holds everything."""
        return pictures

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw the images of each benchmark and noise in rows, worst first."""
        table = table.astype({"given": str, "original": str})
        cells = [(key, cell.sort_values("rank")) for key, cell in groups(table, *CELL)]
        if not cells:
            figure = Figure(figsize=(4, 1))
            figure.text(0.5, 0.5, "no pruned network, or no images in memory", ha="center")
            return figure
        lines = [ceil(len(cell) / ACROSS) for _, cell in cells]
        height = 1.35 * sum(lines) + 0.45 * len(cells) + 0.3
        figure = Figure(figsize=(1.15 * ACROSS, height), layout="constrained")
        heights = [1.35 * n + 0.45 for n in lines]
        parts = figure.subfigures(len(cells), 1, squeeze=False, height_ratios=heights)
        for part, ((benchmark, noise), cell), down in zip(parts.flat, cells, lines, strict=True):
            level = cell["level"].iloc[0]
            part.suptitle(f"{benchmark}, {words.noise(noise)}, level {level}", fontsize=9.5)
            axes = part.subplots(down, ACROSS, squeeze=False)
            for ax in axes.flat:
                ax.axis("off")
            for ax, row in zip(axes.flat, rows(cell), strict=False):
                image = picture(row)
                grey = {"cmap": "gray", "vmin": 0, "vmax": 255} if image.ndim == 2 else {}
                ax.imshow(image, interpolation="nearest", **grey)
                name = row.given
                if row.given != row.original:
                    name += f"\n(was {row.original})"
                before, after = (words.number(x, 2) for x in (row.loss_dense, row.loss_sparse))
                ax.set_title(f"{name}\n{before} → {after}", fontsize=7, pad=2)
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how many of the pictures have a wrong label."""
        sentences = []
        for (benchmark, noise), cell in groups(table, *CELL):
            wrong = int((cell["given"] != cell["original"]).sum())
            seeds = int(cell["seeds"].iloc[0])
            level = cell["level"].iloc[0]
            text = f"{benchmark}, {words.noise(noise)}, level {level}, n = {seeds}"
            if noise:
                text += f": {wrong} of {len(cell)} labels were made wrong"
            sentences.append(f"{text}.")
        return "\n\n".join(
            [
                "Training examples whose loss pruning raises most, worst first, at the sparsest "
                "level that beats dense (the best pruned level where none does). Above each: the "
                "label trained on, the original label where it was made wrong, and the training "
                "loss of the dense and of the pruned network, in nats, mean over n seeds. Whether "
                "a label is ambiguous is for the reader to see.",
                *sentences,
            ]
        )


def picture(row: Any) -> np.ndarray:
    """Return the image of a row of the table of pictures, uint8 [H, W] or [H, W, 3].

    Other numbers of channels are shown by their mean.
    """
    flat = np.frombuffer(bytes.fromhex(row.pixels), dtype=np.uint8)
    image = flat.reshape(row.channels, row.height, row.width)
    if row.channels == 3:
        return np.moveaxis(image, 0, -1)
    return image.mean(axis=0).round().astype(np.uint8)
