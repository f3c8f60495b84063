"""The numbers of both studies, in tables."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import pandas as pd

from gst.analysis.frames import groups, rows
from gst.analysis.statistics import summarise
from gst.figures import words
from gst.figures.selection import LEVELS, PROTOCOLS, Selection
from gst.figures.style import METHOD_MARKERS
from gst.report.markup import Markup, table, tag


def numbers(tables: Mapping[str, pd.DataFrame]) -> list[Markup]:
    """Return the section of numbers, from the tables that `write_report` takes."""
    parts = [tag("h2", "Numbers", id="numbers")]
    if "selected" in tables:
        parts.append(tag("section", *_selected(tables["selected"]), class_="card"))
    if "levels" in tables:
        parts.append(tag("section", *_levels(tables["levels"]), class_="card"))
    runs = tables["runs"]
    stability = runs[runs["study"] == "stability"]
    if len(stability):
        parts.append(tag("section", *_variants(stability), class_="card"))
    return parts


def _selected(selected: pd.DataFrame) -> list[Markup]:
    body = [
        (
            row.benchmark,
            f"{row.noise:g}",
            row.method,
            LEVELS[row.which],
            PROTOCOLS[row.protocol],
            words.percent(row.dense_error),
            words.percent(row.error),
            words.weights(row.weights_remaining),
            words.interval(row, 100, 1),
            row.n,
        )
        for row in rows(Selection.summarise(selected))
    ]
    header = (
        "Benchmark",
        "Noise (%)#",
        "Method",
        "Level",
        "Protocol",
        "Dense error#",
        "Error#",
        "Weights#",
        "Below dense (points)#",
        "n#",
    )
    return [
        tag("h3", "Regularization study: the selected levels of each method"),
        table(header, body),
        tag(
            "p",
            "As published, a level is selected on the whole test set, which its error is measured "
            "on as well; clean, it is selected on one half and measured on the other. Brackets "
            "are 95% intervals over seeds, paired with dense.",
            class_="soft",
        ),
    ]


def _levels(levels: pd.DataFrame) -> list[Markup]:
    """Return every level's numbers, folded, one table a benchmark and kind."""
    methods = [method for method in METHOD_MARKERS if method in set(levels["method"])]
    errors = {m: (m, "test_error", 100, 1) for m in methods}
    losses = {
        f"{method}, {part}": (method, f"loss_{part}", 1, 3)
        for method in methods
        for part in ("original", "noisy")
    }
    kinds = {
        "test error (%)": (errors, levels),
        "training loss on original and noisy examples (nats)": (
            losses,
            levels[levels["noise"] > 0],
        ),
    }
    return [
        tag("h3", "Regularization study: every level"),
        *(
            tag("details", tag("summary", f"{benchmark}: {name}"), _by_level(own, columns))
            for name, (columns, shown) in kinds.items()
            for (benchmark,), own in groups(shown, "benchmark")
        ),
        tag(
            "p",
            "Mean ± standard deviation over the seeds that did not diverge; a level is the "
            "same step of each method. The table levels.csv has more columns and the other "
            "ways to prune.",
            class_="soft",
        ),
    ]


def _by_level(levels: pd.DataFrame, columns: Mapping[str, tuple[str, str, float, int]]) -> Markup:
    """Return a table of one benchmark: a row a noise and level.

    Args:
        levels: Rows of one benchmark, as `levels.level_numbers` makes them.
        columns: For each column its method, quantity, scale and digits.
    """
    cells = {(row.noise, row.level, row.method): row for row in rows(levels)}
    body = []
    for (noise, level), own in groups(levels.sort_values(["noise", "level"]), "noise", "level"):
        pruned = own.loc[own["method"].isin(["dense", "pruned"]), "weights_remaining"]
        line = [f"{noise:g}", level, words.weights(pruned.iloc[0]) if len(pruned) else ""]
        for method, quantity, scale, digits in columns.values():
            row = cells.get((noise, level, method))
            mean, sd = (scale * getattr(row, f"{quantity}_{part}", nan) for part in ("mean", "sd"))
            line.append(words.spread(mean, sd, digits))
        body.append(line)
    return table(("Noise (%)#", "Level#", "Weights if pruned#", *(f"{n}#" for n in columns)), body)


def _variants(runs: pd.DataFrame) -> list[Markup]:
    measures = {
        "stability": "Stability (%)#",
        "best_test_accuracy": "Test accuracy, as published (%)#",
        "test_accuracy": "At the final epoch (%)#",
        "gap": "Gap, as published (points)#",
        "train_accuracy": "Train accuracy (%)#",
    }
    runs = runs.assign(test_accuracy=1 - runs["test_error"])
    keys = ["benchmark", "method"]
    means = {
        name: {(r.benchmark, r.method): r for r in rows(summarise(runs, keys, name))}
        for name in measures
    }
    body = [
        (*key, *(words.interval(means[name][key], 100, 1) for name in measures), row.n)
        for key, row in means["stability"].items()
    ]
    return [
        tag("h3", "Stability study: the variants"),
        table(("Benchmark", "Variant", *measures.values(), "n#"), body),
        tag("p", "Brackets are 95% intervals over seeds.", class_="soft"),
    ]
