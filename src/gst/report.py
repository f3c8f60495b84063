"""Writes one self-contained page: what was run, what came out, which claims hold, and how.

The page needs no network and no script: its style is inline, its pictures are data, and a
content security policy forbids every request. All text is escaped by construction.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from gst.analysis.claims import chance_summary
from gst.analysis.frames import groups, rows
from gst.analysis.statistics import false_alarm_rate, summarise
from gst.artifacts import ArtifactError, atomic
from gst.figures import words
from gst.figures.selection import LEVELS, PROTOCOLS, Selection
from gst.figures.style import METHOD_MARKERS
from gst.registry import find

PAPERS = {
    "regularization": "Pruning's Effect on Generalization Through the Lens of Training and "
    "Regularization (Jin, Carbin, Roy, Frankle, Dziugaite, NeurIPS 2022)",
    "stability": "The Generalization-Stability Tradeoff in Neural Network Pruning "
    "(Bartoldson, Morcos, Barbu, Erlebacher, NeurIPS 2020)",
}

VERDICTS = {
    "reproduced": "good",
    "holds at reduced scale": "hint",
    "inconclusive": "open",
    "fails at reduced scale": "doubt",
    "contradicted": "bad",
    "not run": "none",
}
"""Kinds of verdicts, in the order in which they are counted, and how each is coloured."""

_TREES = {False: "clean", True: "with changes that were not committed", None: "unknown"}
"""What is said of a checkout whose files differ from its commit, or do not."""

SHRINK = 0.6
"""Width on the page of a figure's pixel."""

STYLE = """
:root { --ink: #1d2430; --soft: #5b6472; --line: #dfe3e8; --back: #f6f7f9; --blue: #0b5c9e; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
header, main, footer { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3em; }
h2 { font-size: 1.4rem; margin: 2.2em 0 .6em; }
h3 { font-size: 1.08rem; margin: 0 0 .5em; }
p { margin: .4em 0 .8em; }
.soft, footer { color: var(--soft); font-size: .92rem; }
nav a { margin-right: 1.1em; }
a { color: var(--blue); }
code { background: #e9edf1; padding: .1em .35em; border-radius: 4px; font-size: .92em;
  overflow-wrap: anywhere; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 0 0 18px; }
.chips { display: flex; flex-wrap: wrap; gap: 10px; margin: 0 0 1em; }
.chip { border-radius: 10px; padding: 8px 14px; min-width: 104px; }
.chip b { display: block; font-size: 1.5rem; line-height: 1.2; }
.pill { border-radius: 20px; padding: 2px 10px; font-size: .84rem; display: inline-block;
  white-space: nowrap; }
.good { background: #d3efdc; color: #0c4a24; }
.hint { background: #dcebfa; color: #0b3f6d; }
.open { background: #f4ecd2; color: #5b4a0c; }
.doubt { background: #fbe3cf; color: #7a3a06; }
.bad { background: #f8d5d5; color: #7c1414; }
.none { background: #e8ebee; color: #48505b; }
figure { margin: 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .92rem; margin-top: .8em; }
figcaption p { margin: .35em 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.claims .soft { font-size: .8rem; }
.claims td:first-child { width: 42%; }
details > summary { cursor: pointer; color: var(--blue); margin: .6em 0; }
@media (max-width: 720px) {
  body { font-size: 15px; }
  header, main, footer { padding-left: 12px; padding-right: 12px; }
  .card { padding: 14px; }
  table.claims, .claims tbody, .claims tr, .claims td { display: block; width: 100%; }
  .claims thead { display: none; }
  .claims tr { padding: 10px 0; border-bottom: 1px solid var(--line); }
  .claims td, .claims td.number { border: 0; padding: 2px 0; text-align: left;
    white-space: normal; }
  .claims td:empty { display: none; }
  .claims td:first-child { width: 100%; }
  .claims td:not(:first-child)::before { content: attr(data-label) ": "; color: var(--soft); }
}
"""


class Markup(str):
    """Text that is HTML already."""


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """Return an element; children and attribute values that are not `Markup` are escaped.

    Args:
        name: Name of the element.
        children: Its content, one after the other; None is left out.
        attributes: Its attributes; `class_` stands for class, `data_label` for data-label.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    if name in ("img", "link", "meta"):
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{_join(children)}</{name}>")


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
            *_summary(tables["claims"]),
            *_figures(figures),
            *_numbers(tables),
            *_claims(tables["claims"]),
            *_provenance(tables["jobs"], tables["runs"]),
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


def _join(children: Iterable[object]) -> Markup:
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(str(child))
            for child in children
            if child is not None
        )
    )


def _table(header: Sequence[str], body: Iterable[Sequence[object]], class_: str = "") -> Markup:
    """Return a table. Columns whose heads end in "#" hold numbers, which stand to the right."""
    kinds = ["number" if name.endswith("#") else "" for name in header]
    names = [name.rstrip("#") for name in header]
    lines = [
        tag(
            "tr",
            *(
                tag("td", cell, class_=kind, data_label=name)
                for cell, kind, name in zip(line, kinds, names, strict=True)
            ),
        )
        for line in body
    ]
    heads = [tag("th", name, class_=kind) for name, kind in zip(names, kinds, strict=True)]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines), class_=class_)
    return tag("div", table, class_="scroll")


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
    return [tag("h2", "What was run"), tag("div", _table(header, body), command, class_="card")]


def _kind(verdict: str) -> str:
    return verdict.partition(" (")[0]


def _summary(claims: pd.DataFrame) -> list[Markup]:
    counts = claims["verdict"].map(_kind).value_counts()
    chips = [
        tag("div", tag("b", int(counts[name])), name, class_=f"chip {colour}")
        for name, colour in VERDICTS.items()
        if name in counts
    ]
    chance = chance_summary(claims)
    luck = (
        f"By the papers' own criterion {chance.confirmed} of {chance.tested} tested directions "
        f"hold; {chance.by_chance:.1f} would by chance if there were no effect at all. With three "
        f"seeds the matching rule sees a difference where there is none "
        f"{100 * false_alarm_rate(3):.0f}% of the time."
    )
    return [
        tag("h2", "Verdicts", id="verdicts"),
        tag(
            "div",
            tag("div", *chips, class_="chips"),
            tag("p", f"Of {len(claims)} claims of both papers. Verdicts go by 95% intervals."),
            tag("p", luck, class_="soft"),
            class_="card",
        ),
    ]


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


def _numbers(tables: Mapping[str, pd.DataFrame]) -> list[Markup]:
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
        _table(header, body),
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
            for name, (columns, table) in kinds.items()
            for (benchmark,), own in groups(table, "benchmark")
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
    return _table(("Noise (%)#", "Level#", "Weights if pruned#", *(f"{n}#" for n in columns)), body)


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
        _table(("Benchmark", "Variant", *measures.values(), "n#"), body),
        tag("p", "Brackets are 95% intervals over seeds.", class_="soft"),
    ]


def _claims(claims: pd.DataFrame) -> list[Markup]:
    header = (
        "Claim",
        "Published",
        "Measured, 95% interval#",
        "n#",
        "Verdict",
        "Paper's rule",
        "Clean protocol",
    )
    parts = [tag("h2", "Claims", id="claims")]
    for (paper,), own in groups(claims.sort_values("paper", kind="stable"), "paper"):
        idle = own["verdict"] == "not run"
        ran = _table(header, [_claim(row) for row in rows(own[~idle])], "claims")
        waiting = _table(
            ("Claim", "Published", "Why it was not run"),
            [(_statement(row), _text(row.published), _text(row.note)) for row in rows(own[idle])],
            "claims",
        )
        parts.append(
            tag(
                "section",
                tag("h3", PAPERS[paper]),
                ran if not idle.all() else None,
                tag("details", tag("summary", f"{idle.sum()} claims were not run"), waiting)
                if idle.any()
                else None,
                class_="card",
            )
        )
    return parts


def _claim(row: Any) -> tuple[object, ...]:
    kind = _kind(row.verdict)
    pill = tag("span", kind, class_=f"pill {VERDICTS[kind]}")
    measured = words.number(row.measured)
    if pd.notna(row.low):
        measured += f" [{words.number(row.low)}, {words.number(row.high)}]"
    return (
        _statement(row, f"table {row.source}", _text(row.note)),
        _text(row.published),
        measured,
        row.replicates,
        tag("div", pill, tag("div", row.benchmark, class_="soft")),
        _text(row.rule_verdict),
        _kind(row.clean_verdict).removesuffix(" at reduced scale"),
    )


def _statement(row: Any, *notes: str) -> Markup:
    details = "; ".join(filter(None, (f"{row.place} ({row.id})", *notes)))
    return tag("div", row.statement, tag("div", details, class_="soft"))


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _provenance(jobs: pd.DataFrame, runs: pd.DataFrame) -> list[Markup]:
    header = ("Benchmark", "Jobs#", "Networks#", "Time#", "Energy#", "Threads", "Device", "Peak#")
    body = [
        (
            benchmark,
            len(own),
            own["replicates"].sum(),
            _duration(own["seconds"].sum()),
            _energy(own["energy_joules"]),
            ", ".join(f"{n:g}" for n in sorted(set(own["threads"]))),
            ", ".join(sorted(set(own["device"]))),
            f"{own['peak_memory_mb'].max():.0f} MB",
        )
        for (benchmark,), own in groups(jobs, "benchmark")
    ]
    lost = runs[runs["diverged"].astype(bool)]
    diverged = "No replicate diverged."
    if len(lost):
        names = [
            f"{r.benchmark}, {words.noise(r.noise)}, {r.method}, level {r.level}, seed {r.seed}"
            for r in rows(lost)
        ]
        diverged = f"{len(lost)} replicates diverged and count in no mean: {'; '.join(names)}."
    return [
        tag("h2", "How it was run", id="how"),
        tag(
            "div",
            _table(header, body),
            tag("p", diverged),
            tag("h3", "Code"),
            _code(jobs),
            tag("h3", "Machines"),
            *(tag("p", text) for text in _distinct(jobs["hardware"])),
            tag("h3", "Software"),
            *(tag("p", text) for text in _distinct(jobs["versions"], but=("commit", "dirty"))),
            class_="card",
        ),
    ]


def _code(jobs: pd.DataFrame) -> Markup:
    """Return which commits the jobs ran on, one row each, and the fingerprints of their code."""
    versions = [json.loads(text) for text in jobs["versions"]]
    commits = jobs.assign(
        commit=[own["commit"] or "unknown" for own in versions],
        tree=[_TREES[own["dirty"]] for own in versions],
    )
    header = ("Commit", "Working tree", "Jobs#", "First started", "Last started", "Fingerprints")
    body = [
        (
            tag("code", commit),
            tree,
            len(own),
            own["started"].min(),
            own["started"].max(),
            tag("details", tag("summary", len(codes)), tag("code", " ".join(codes))),
        )
        for (commit, tree), own in groups(commits, "commit", "tree")
        for codes in [sorted(set(own["code"]))]
    ]
    return _table(header, body)


def _distinct(column: pd.Series, but: Sequence[str] = ()) -> list[str]:
    """Write each distinct JSON object of a column as a line of names and values."""
    objects = [json.loads(text) for text in column.unique()]
    lines = [
        ", ".join(
            f"{key} {value}" for key, value in own.items() if value is not None and key not in but
        )
        for own in objects
    ]
    return list(dict.fromkeys(lines))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _energy(joules: pd.Series) -> str:
    return f"{joules.sum() / 3.6e6:.2g} kWh" if joules.notna().any() else "not measured"
