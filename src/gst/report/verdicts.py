"""The verdicts on the claims: how many of each kind, and every claim beside its evidence."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gst.analysis.claims import chance_summary
from gst.analysis.frames import groups, rows
from gst.analysis.statistics import false_alarm_rate
from gst.figures import words
from gst.report.markup import Markup, table, tag

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


def summary(claims: pd.DataFrame) -> list[Markup]:
    """Return the section that counts verdicts."""
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


def every_claim(claims: pd.DataFrame) -> list[Markup]:
    """Return the section of claims: a table a paper, then what was not run."""
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
        ran = table(header, [_claim(row) for row in rows(own[~idle])], "claims")
        waiting = table(
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


def _kind(verdict: str) -> str:
    return verdict.partition(" (")[0]
