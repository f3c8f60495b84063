"""Writes one self-contained page: what was run, what came out, which claims hold, and how.

The page needs no network and no script: its style is inline, its pictures are data, and a
content security policy forbids every request. All text is escaped by construction.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gst.artifacts import ArtifactError, atomic
from gst.figures import words
from gst.registry import find
from gst.report.markup import Markup, table, tag
from gst.report.numbers import numbers
from gst.report.runs import how_it_was_run
from gst.report.style import STYLE
from gst.report.verdicts import every_claim, summary

SHRINK = 0.6
"""Width on the page of a figure's pixel."""


def write_report(
    path: Path,
    study: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[Path, str],
) -> None:
    """Write the page.

    Args:
        path: Where to write it.
        study: name, command, and benchmarks: for each its name, study, scale, stands_for,
            dataset, network, noise, methods, levels, seeds.
        tables: runs, jobs, claims, and selected and levels if the regularization study was run.
        figures: PNG files, and the registered kind of figure that each is; the caption of each
            lies beside it, as a .txt file.

    Raises:
        ArtifactError: If a figure or its caption is missing, or a figure is no PNG file.
    """
    body = [
        tag(
            "header",
            tag("h1", f"Pruning and generalization: the study “{study['name']}”"),
            tag("p", _overview(study, tables["runs"]), class_="soft"),
            tag(
                "nav",
                *(
                    tag("a", text, href=f"#{name}")
                    for name, text in {
                        "verdicts": "Verdicts",
                        "figures": "Figures",
                        "numbers": "Numbers",
                        "claims": "Claims",
                        "how": "How it was run",
                    }.items()
                ),
            ),
        ),
        tag(
            "main",
            *_benchmarks(study),
            *summary(tables["claims"]),
            *_figures(figures),
            *numbers(tables),
            *every_claim(tables["claims"]),
            *how_it_was_run(tables["jobs"], tables["runs"]),
        ),
        tag("footer", tag("p", "Made by gst from the files in this results folder.")),
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"gst: {study['name']}"),
        tag("style", Markup(STYLE)),
    ]
    page = tag("html", tag("head", *head), tag("body", *body), lang="en")
    with atomic(path) as temporary:
        temporary.write_text(f"<!doctype html>\n{page}\n", encoding="utf-8")


def _overview(study: Mapping[str, Any], runs: pd.DataFrame) -> str:
    names = [benchmark["name"] for benchmark in study["benchmarks"]]
    scales = sorted({benchmark["scale"] for benchmark in study["benchmarks"]})
    diverged = int(runs["diverged"].sum())
    return (
        f"{len(runs)} trained networks on {words.listing(names)}, {diverged} of them diverged. "
        f"Scale: {words.listing(scales)}. "
        + (
            "A reduced study tests directions; it cannot reproduce published numbers."
            if "reduced" in scales
            else ""
        )
    )


def _benchmarks(study: Mapping[str, Any]) -> list[Markup]:
    def many(values: Iterable[Any]) -> str:
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)

    header = (
        "Benchmark",
        "Study",
        "Scale",
        "Stands for",
        "Dataset",
        "Network",
        "Label noise (%)",
        "Methods",
        "Levels#",
        "Seeds#",
    )
    body = [
        (
            b["name"],
            b["study"],
            b["scale"],
            b["stands_for"] or "itself",
            b["dataset"],
            b["network"],
            many(b["noise"]),
            many(b["methods"]),
            b["levels"] or "-",
            b["seeds"],
        )
        for b in study["benchmarks"]
    ]
    command = tag("p", "Made with ", tag("code", study["command"]), ".")
    return [tag("h2", "What was run"), tag("div", table(header, body), command, class_="card")]


def _figures(figures: Mapping[Path, str]) -> list[Markup]:
    parts = [tag("h2", "Figures", id="figures")]
    for file, kind in figures.items():
        title = find("gst.figures", kind).facts["title"]
        if file.stem != kind:
            title = f"{title} ({file.stem})"
        try:
            caption = file.with_suffix(".txt").read_text(encoding="utf-8").strip().split("\n\n")
            picture = file.read_bytes()
        except FileNotFoundError as error:
            raise ArtifactError(f"{error.filename}: no such file") from error
        if not picture.startswith(b"\x89PNG\r\n"):
            raise ArtifactError(f"{file}: should be a PNG file")
        pixels = int.from_bytes(picture[16:20], "big")
        image = tag(
            "img",
            src=f"data:image/png;base64,{base64.b64encode(picture).decode()}",
            alt=f"{title}. {caption[0]}",
            width=str(round(pixels * SHRINK)),
        )
        said = tag("figcaption", *(tag("p", paragraph) for paragraph in caption))
        figure = tag("figure", tag("h3", title), image, said)
        parts.append(tag("section", figure, class_="card", id=file.stem))
    return parts
