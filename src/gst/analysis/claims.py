"""The papers' claims, and the verdicts of our runs on them.

A direction can be tested at any scale, a published number only where the benchmark has the
published settings: a reduced benchmark never yields "reproduced".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator

from gst.analysis.decisions import Outcome, apply
from gst.analysis.evidence import AbsentError, Evidence
from gst.analysis.rules import Count, Rows, Rule, Text
from gst.recipe import Frozen

PUBLISHED = {
    "stability": (
        "cifar10-vgg11",
        "cifar10-resnet18",
        "cifar10-vgg11-rates",
        "cifar10-resnet18-sgd",
        "cifar10-resnet20-sgd",
        "cifar10-resnet56-sgd",
        "cifar10-vgg11-noise",
        "cifar10-vgg19-activations",
        "cifar10-vgg11-ebn",
        "cifar10-resnet18-ebn",
        "cifar10-resnet18-59",
        "cifar10-resnet18-early",
        "cifar10-vgg11-return",
        "cifar100-resnet18",
        "cifar10-vgg11-sgd",
        "cifar10-vgg11-comparators",
        "cifar10-vgg11-decay",
        "cifar10-vgg11-augmented",
        "cifar10-vgg11-dropout",
    ),
    "regularization": (
        "mnist-lenet",
        "cifar10-resnet20",
        "cifar10-vgg16",
        "cifar100-resnet32",
        "imagenet-resnet50",
    ),
}
"""The papers' benchmarks, and those that their reviewers asked for, by paper."""

Scale = Literal["published", "reduced"]


class Claim(Frozen):
    """A statement of a paper, and the rule that decides it."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$")]
    paper: Literal["stability", "regularization"]
    place: Text
    """Where the paper says it."""
    statement: Text
    """What it says, in our words."""
    published: float | str | None = None
    """The number, range or numbers that it prints."""
    benchmarks: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Published benchmarks that it was made on."""
    rule: Rule | None = None
    waits_for: Text | None = None
    """What is missing for a rule, where there is none."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.id.startswith(f"{self.paper}-"):
            raise ValueError(f"the id should start with {self.paper}-")
        unknown = set(self.benchmarks).difference(PUBLISHED[self.paper])
        if unknown:
            raise ValueError(f"the paper has no benchmark {', '.join(sorted(unknown))}")
        named = set(_named(self.rule)).difference(self.benchmarks)
        if named:
            raise ValueError(f"the rule names {', '.join(sorted(named))}: list it in benchmarks")
        if (self.rule is None) == (self.waits_for is None):
            raise ValueError("give a rule, or say in `waits_for` what it waits for")
        return self


def load_claims(path: str | Path) -> list[Claim]:
    """Read the list of claims from a YAML file.

    Raises:
        ValueError: If the file is not a list of claims, or two have the same id; one message
            lists all faults.
    """
    items = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(items, list) or not items:
        raise ValueError(f"{path}: should be a list of claims")
    claims: dict[str, Claim] = {}
    faults: list[str] = []
    for number, item in enumerate(items, start=1):
        name = item.get("id", f"claim {number}") if isinstance(item, dict) else f"claim {number}"
        try:
            claim = Claim.model_validate_json(json.dumps(item))
        except ValidationError as error:
            for fault in error.errors():
                where = ".".join(map(str, fault["loc"]))
                faults.append(
                    f"{name}: {where}: {fault['msg']}" if where else f"{name}: {fault['msg']}"
                )
            continue
        if claim.id in claims:
            faults.append(f"{claim.id}: given more than once")
        claims[claim.id] = claim
    if faults:
        raise ValueError(f"{path}:\n" + "\n".join(f"  {fault}" for fault in faults))
    return list(claims.values())


class Judged(NamedTuple):
    """A claim and its verdict: one row of claims.csv.

    Attributes:
        benchmark: Benchmarks of the study that decided it, or the published ones if none did.
        measured: The tested value; errors, accuracies and gaps in percentage points.
        low: Lower end of its 95% bootstrap interval.
        high: Upper end.
        replicates: Seeds, or pairs of a correlation.
        verdict: By the interval: reproduced, contradicted, inconclusive, not run, or what was
            found at reduced scale.
        rule_verdict: By the papers' own criterion: whether the direction holds or fails.
        p_value: Of a correlation.
        chance: How often rule_verdict would be "holds" if there were no effect.
        source: The table that was read.
        note: Why it was not run, or what a reader should know besides.
    """

    id: str
    paper: str
    place: str
    statement: str
    published: float | str | None
    benchmark: str
    scale: str = ""
    measured: float = np.nan
    low: float = np.nan
    high: float = np.nan
    replicates: int = 0
    verdict: str = "not run"
    rule_verdict: str = ""
    p_value: float = np.nan
    chance: float = np.nan
    source: str = ""
    note: str = ""


def evaluate(
    claims: Sequence[Claim],
    tables: Mapping[str, pd.DataFrame],
    scales: Mapping[str, Scale],
    stand_ins: Mapping[str, str],
    protocol: Literal["published", "clean"] = "published",
) -> pd.DataFrame:
    """Decide every claim on the runs of a study.

    Args:
        claims: As `load_claims` reads them.
        tables: The tidy tables that rules name (`rules.Rows`), one row a replicate.
        scales: For each benchmark of the study, whether its settings are the published ones.
        stand_ins: For published benchmarks that are not in the study, the benchmark of the
            study that stands for them.
        protocol: Which of the two protocols' selections and measurements to take.

    Returns:
        One row a claim, with the columns of `Judged`.
    """
    rows = []
    for claim in claims:
        own = {b: b if b in scales else stand_ins.get(b) for b in claim.benchmarks}
        studied = tuple(dict.fromkeys(name for name in own.values() if name))
        missing = tuple(name for name, found in own.items() if not found)
        evidence = Evidence(tables, claim.paper, own, protocol)
        rows.append(_judge(claim, evidence, missing, {name: scales[name] for name in studied}))
    return pd.DataFrame(rows, columns=Judged._fields)


class Chance(NamedTuple):
    """How many tested directions the papers' own criterion confirmed, beside mere chance.

    Attributes:
        tested: Directional claims that it could decide.
        confirmed: Those that hold.
        by_chance: Confirmations to expect if none of them were true.
    """

    tested: int
    confirmed: int
    by_chance: float


def chance_summary(evaluated: pd.DataFrame) -> Chance:
    """Count the tested directions, those confirmed, and those that chance explains.

    Claims that one benchmark decides by the very same numbers count once.

    At three replicates the matching rule sees a difference where there is none with probability
    0.225, half of the time in the claimed direction.

    Args:
        evaluated: As `evaluate` returns it.
    """
    test = ["benchmark", "source", "measured", "low", "high", "rule_verdict", "chance"]
    tested = evaluated[evaluated["chance"].notna()].drop_duplicates(test)
    confirmed = int((tested["rule_verdict"] == "holds").sum())
    return Chance(len(tested), confirmed, float(tested["chance"].sum()))


def _named(rule: Rule | None) -> Iterator[str]:
    """Yield the benchmarks that a rule names."""
    simple = rule.rule if isinstance(rule, Count) else rule
    for rows in (getattr(simple, "a", None), getattr(simple, "b", None)):
        if isinstance(rows, Rows):
            named = rows.where.get("benchmark", ())
            yield from map(str, named if isinstance(named, tuple) else (named,))


def _judge(
    claim: Claim, evidence: Evidence, missing: Sequence[str], scales: Mapping[str, Scale]
) -> Judged:
    row = Judged(
        claim.id,
        claim.paper,
        claim.place,
        claim.statement,
        claim.published,
        ", ".join(claim.benchmarks),
    )
    rule = claim.rule
    if rule is None:
        return row._replace(note=f"waits for {claim.waits_for}")
    if not scales:
        return row._replace(note=f"no benchmark of the study stands for {', '.join(missing)}")
    test = rule.rule if isinstance(rule, Count) else rule
    reduced = "reduced" in scales.values()
    if reduced and test.expect is None:
        return row._replace(note="a number that only the published scale can give")
    try:
        outcome = apply(rule, evidence, published=not reduced)
    except AbsentError as reason:
        return row._replace(note=str(reason))
    notes = [outcome.note]
    if reduced and test.within:
        notes.append("only the direction was tested: the number is of the published scale")
    if missing and not reduced:
        notes.append(f"open until these have run: {', '.join(missing)}")
    partial = isinstance(rule, Count) and rule.of not in (None, outcome.cases)
    if isinstance(rule, Count) and partial:
        notes.append(f"the paper has {rule.of} cases")
    name = ", ".join(scales)
    return row._replace(
        benchmark=name,
        scale="reduced" if reduced else "published",
        measured=outcome.measured,
        low=outcome.low,
        high=outcome.high,
        replicates=outcome.n,
        verdict=_verdict(outcome, name, reduced, bool(missing) or partial),
        rule_verdict={True: "holds", False: "fails", None: ""}[outcome.agrees],
        p_value=outcome.p,
        chance=outcome.chance,
        source=test.a.table,
        note="; ".join(filter(None, notes)),
    )


def _verdict(outcome: Outcome, name: str, reduced: bool, incomplete: bool) -> str:
    if outcome.state == "open" or (incomplete and not reduced):
        return "inconclusive"
    if reduced:
        return f"{outcome.state} at reduced scale ({name}, n={outcome.n})"
    return {"holds": "reproduced", "fails": "contradicted"}[outcome.state]
