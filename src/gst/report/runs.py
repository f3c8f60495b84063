"""How it was run: what it took, on which code, machines and software."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from gst.analysis.frames import groups, rows
from gst.figures import words
from gst.report.markup import Markup, table, tag

_TREES = {False: "clean", True: "with changes that were not committed", None: "unknown"}
"""What is said of a checkout whose files differ from its commit, or do not."""


def how_it_was_run(jobs: pd.DataFrame, runs: pd.DataFrame) -> list[Markup]:
    """Return the section on what the jobs took, which runs diverged, and on what they ran."""
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
            table(header, body),
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
    return table(header, body)


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
