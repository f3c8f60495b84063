"""Decides rules by the tables.

Every rule is decided twice: by the 95% bootstrap interval, and by the papers' own criterion, which
is the matching rule of the regularization paper (section 2) and, for correlations and their
changes, a p-value below 0.05.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import binom, norm

from gst.analysis.evidence import AbsentError, Evidence, check_columns, means
from gst.analysis.rules import (
    Compare,
    Correlate,
    CorrelationDifference,
    CorrelationTrend,
    Count,
    Expectation,
    Ratio,
    Rows,
    Rule,
    Simple,
    Spread,
    Tested,
    Trend,
    TwoSided,
)
from gst.analysis.statistics import (
    MINIMUM,
    bootstrap_interval,
    false_alarm_rate,
    kendall,
    matching,
    pearson,
)

SIGNIFICANT = 0.05
"""Largest p-value at which a correlation counts, as in the stability paper."""

SAMPLES = 10_000
"""Resamples of the seeds for the interval of a change of correlation."""

State = Literal["holds", "fails", "open"]


@dataclass(frozen=True)
class Outcome:
    """What a rule found.

    Attributes:
        measured: The tested value, in percentage points for `POINTS`.
        low: Lower end of its 95% bootstrap interval.
        high: Upper end.
        n: Replicates (seeds), or pairs of a correlation.
        state: Decision by the interval; open if it decides nothing or replicates are too few.
        agrees: Decision by the papers' own criterion, None if there is none.
        chance: How often `agrees` would be true if there were no effect; NaN if the rule claims
            no direction.
        p: p-value, of a correlation.
        cases: Number of cases, of a count.
        note: What a reader should know besides.
    """

    measured: float
    low: float
    high: float
    n: int
    state: State
    agrees: bool | None
    chance: float
    p: float = np.nan
    cases: int | None = None
    note: str = ""


def apply(rule: Rule, evidence: Evidence, published: bool) -> Outcome:
    """Decide a rule.

    Args:
        rule: The rule.
        evidence: The tables to decide it on.
        published: Whether to hold the measured value against the published one, too.

    Raises:
        AbsentError: If runs that it needs are not there.
        ValueError: If it names a column that a table lacks.
    """
    if isinstance(rule, TwoSided):
        _check_apart(rule, evidence)
    match rule:
        case Count():
            return _count(rule, evidence, published)
        case Correlate():
            return _correlate(rule, evidence, published)
        case CorrelationDifference():
            parts = [evidence.rows(rows, rule.over) for rows in (rule.b, rule.a)]
            return _changing_correlation(parts, [0.0, 1.0], rule, published)
        case CorrelationTrend():
            table = evidence.rows(rule.a, rule.over)
            check_columns(table, rule.a.table, [rule.by])
            steps = sorted(table[rule.by].dropna().unique())
            if len(steps) < 2:
                raise AbsentError(f"a trend needs two values of {rule.by}, found {steps}")
            parts = [table[table[rule.by] == step] for step in steps]
            return _changing_correlation(parts, steps, rule, published)
        case Spread():
            return _decide(_spreads(rule, evidence), 0.0, rule, published)
        case Ratio():
            a, b = (evidence.cells(rows, magnitude=True) for rows in (rule.a, rule.b))
            over, under = (_by_seed(cells) for cells in _paired(a, b))
            ratios = np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0)
            return _decide(ratios, 1.0, rule, published)
        case Compare():
            return _decide(_by_seed(_difference(rule, evidence)), 0.0, rule, published)
        case Trend():
            by_seed = means(_difference(rule, evidence, rule.over).groupby(["seed", rule.over]))
            return _decide(_slopes(by_seed.unstack(), rule.over), 0.0, rule, published)


def _check_apart(rule: TwoSided, evidence: Evidence) -> None:
    """Stop when a rule compares two benchmarks for which the study has only one."""
    if not isinstance(rule.b, Rows):
        return
    a, b = (rows.where.get("benchmark") for rows in (rule.a, rule.b))
    own = evidence.own(rule.a)
    if a and b and a != b and own == evidence.own(rule.b):
        raise AbsentError(f"{', '.join(own)} stands for both {a} and {b}, which are compared")


def _difference(rule: Compare | Trend, evidence: Evidence, *over: str) -> pd.Series:
    a = evidence.cells(rule.a, *over)
    if not isinstance(rule.b, Rows):
        return a - rule.b
    a, b = _paired(a, evidence.cells(rule.b, *over))
    return a - b


def _paired(a: pd.Series, b: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return two sets of cells, over the cells that both have."""
    keys = [name for name in a.index.names if name in b.index.names]
    a, b = (means(cells.groupby(keys)) for cells in (a, b))
    both = a.index.intersection(b.index)
    if both.empty:
        raise AbsentError("no seed has both results that are compared")
    return a.loc[both], b.loc[both]


def _by_seed(cells: pd.Series) -> np.ndarray:
    """Return each seed's mean over its cells; NaN for a seed that lacks one of them."""
    table = cells.unstack([name for name in cells.index.names if name != "seed"])
    means: np.ndarray = table.to_numpy(dtype=float).mean(axis=1)
    return means


def _slopes(by_seed: pd.DataFrame, over: str) -> np.ndarray:
    """Return the least-squares slope of each row over the values that name the columns."""
    if by_seed.shape[1] < 2:
        raise AbsentError(f"a trend needs two values of {over}, found {list(by_seed)}")
    x = by_seed.columns.to_numpy(dtype=float)
    x = x - x.mean()
    slopes: np.ndarray = by_seed.to_numpy(dtype=float) @ x / (x @ x)
    return slopes


def _spreads(rule: Spread, evidence: Evidence) -> np.ndarray:
    """Return each seed's difference of the two ranges."""
    cells = [evidence.cells(rows, rule.over) for rows in (rule.a, rule.b)]
    first, second = (set(side.index.get_level_values(rule.over)) for side in cells)
    if first != second or len(first) < 2:
        raise AbsentError(
            f"two ranges need the same values of {rule.over}, at least two; found "
            f"{sorted(first)} and {sorted(second)}"
        )
    tables = [means(side.groupby(["seed", rule.over])).unstack() for side in _paired(*cells)]
    over, under = (np.ptp(table.to_numpy(dtype=float), axis=1) for table in tables)
    spreads: np.ndarray = over - under
    return spreads


_SIDES: dict[Expectation, Callable[[float], bool]] = {
    "lower": lambda side: side < 0,
    "higher": lambda side: side > 0,
    "match": lambda side: side == 0,
    "not lower": lambda side: side >= 0,
    "not higher": lambda side: side <= 0,
}
"""Whether a result that differs downwards (-1), matches (0) or differs upwards (1) agrees."""


def _decide(values: np.ndarray, reference: float, rule: Tested, published: bool) -> Outcome:
    """Hold one value a seed against a reference."""
    mean, low, high, n = bootstrap_interval(values)
    lost = len(values) - n
    outcome = Outcome(
        measured=mean,
        low=low,
        high=high,
        n=n,
        state="open",
        agrees=None,
        chance=np.nan,
        note=f"{lost} of {len(values)} replicates left out (incomplete)" if lost else "",
    )
    match = matching(values, np.full_like(values, reference))
    if match.differs is None:
        return outcome
    side = match.differs * np.sign(match.difference)
    return _decided(outcome, reference, rule, published, side, false_alarm_rate(n))


def _decided(
    found: Outcome, reference: float, rule: Tested, published: bool, side: float, alarms: float
) -> Outcome:
    """Add both decisions: by the interval, and by the papers' criterion.

    Args:
        found: What was measured.
        reference: What it is held against.
        rule: What it should be.
        published: Whether the published value counts, too.
        side: Where the papers' criterion sees it: below (-1), at (0) or above (1) the reference.
        alarms: How often that criterion sees a difference where there is none.
    """
    found = replace(found, state=_state(found, reference, rule, published))
    if rule.expect is None:
        return found
    directed = rule.expect in ("lower", "higher")
    return replace(
        found, agrees=_SIDES[rule.expect](side), chance=alarms / 2 if directed else np.nan
    )


def _state(found: Outcome, reference: float, rule: Tested, published: bool) -> State:
    """Decide by interval: it lies where it should, or nowhere near it, or neither."""
    if rule.expect:
        start, end = {
            "lower": (-np.inf, reference - rule.margin),
            "higher": (reference + rule.margin, np.inf),
            "match": (reference - rule.margin, reference + rule.margin),
            "not lower": (reference - rule.margin, np.inf),
            "not higher": (-np.inf, reference + rule.margin),
        }[rule.expect]
        if not start < found.low <= found.high < end:
            return "fails" if found.high < start or found.low > end else "open"
    if published and rule.within:
        # The published value is a mean of runs as well: the difference has twice the variance.
        least, most = (
            found.measured + np.sqrt(2) * (bound - found.measured)
            for bound in (found.low, found.high)
        )
        if most < rule.within[0] or least > rule.within[1]:
            return "fails"
    return "holds"


def _correlate(rule: Correlate, evidence: Evidence, published: bool) -> Outcome:
    table = evidence.rows(rule.a, rule.over)
    r, p, low, high, n = {"pearson": pearson, "kendall": kendall}[rule.statistic](
        table["value"], table["across"]
    )
    lost = len(table) - n
    outcome = Outcome(
        measured=r,
        low=low,
        high=high,
        n=n,
        state="open",
        agrees=None,
        chance=np.nan,
        p=p,
        note=f"{lost} of {len(table)} runs left out (diverged or missing)" if lost else "",
    )
    seeds = table.loc[table["value"].notna(), "seed"].nunique()
    if seeds < MINIMUM or not np.isfinite([r, low, high]).all():
        return outcome
    return _decided(outcome, 0.0, rule, published, (p < SIGNIFICANT) * np.sign(r), SIGNIFICANT)


def _changing_correlation(
    parts: Sequence[pd.DataFrame],
    steps: Sequence[float],
    rule: CorrelationDifference | CorrelationTrend,
    published: bool,
) -> Outcome:
    """Decide by the slope over the steps of the correlations in some parts of the runs.

    Its interval resamples seeds, each with all its runs; like that of a mean, it is too narrow
    where seeds are few: equal correlations were seen to differ in 20% of simulated cases of 3
    seeds and in 10% of those of 10. Its p-value takes Fisher's z of the correlations as normal
    with variance 1 / (pairs - 3), and the slope of z weighted accordingly.
    """
    if not set.intersection(*(set(part["seed"]) for part in parts)):
        raise AbsentError("no seed has all results that are compared")
    whole = [part[np.isfinite(part["value"]) & np.isfinite(part["across"])] for part in parts]
    seeds = sorted(set.intersection(*(set(part["seed"]) for part in whole)))
    lost = len(set[int]().union(*(part["seed"] for part in parts))) - len(seeds)
    paired = [part[part["seed"].isin(seeds)] for part in whole]
    x = np.asarray(steps, dtype=float) - np.mean(steps)

    def correlations(weights: np.ndarray) -> np.ndarray:
        return np.stack([_correlations(part, seeds, weights) for part in paired], axis=1)

    r = correlations(np.ones((1, len(seeds))))[0]
    outcome = Outcome(
        measured=float(r @ x / (x @ x)),
        low=np.nan,
        high=np.nan,
        n=len(seeds),
        state="open",
        agrees=None,
        chance=np.nan,
        note=f"{lost} seeds left out, which not all sides have" if lost else "",
    )
    precision = np.array([len(part) - 3.0 for part in paired])
    if len(seeds) < MINIMUM or not np.isfinite(outcome.measured) or precision.min() <= 0:
        return outcome
    draws = np.random.default_rng(0).multinomial(
        len(seeds), np.full(len(seeds), 1 / len(seeds)), size=SAMPLES
    )
    low, high = np.nanquantile(correlations(draws) @ x / (x @ x), [0.025, 0.975])
    centred = np.asarray(steps) - np.average(steps, weights=precision)
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    score = float((precision * centred) @ z / np.sqrt(precision @ centred**2))
    p = float(2 * norm.sf(abs(score)))
    outcome = replace(outcome, low=float(low), high=float(high), p=p)
    return _decided(outcome, 0.0, rule, published, (p < SIGNIFICANT) * np.sign(score), SIGNIFICANT)


def _correlations(part: pd.DataFrame, seeds: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of value and across under weights of the seeds.

    Args:
        part: The runs.
        seeds: The seeds that weights are given for.
        weights: How often each seed counts, [K, seeds].

    Returns:
        One correlation for each row of the weights, NaN where an input is constant.
    """
    a, b = (part[name].to_numpy(dtype=float) for name in ("value", "across"))
    if not a.size or not np.ptp(a) or not np.ptp(b):
        return np.full(len(weights), np.nan)
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    each = np.searchsorted(seeds, part["seed"])
    sums = np.zeros((len(seeds), 6))
    np.add.at(sums, each, np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1))
    n, mean_a, mean_b, squares_a, squares_b, products = (weights @ sums).T
    mean_a, mean_b = mean_a / n, mean_b / n
    variances = (squares_a / n - mean_a**2) * (squares_b / n - mean_b**2)
    constant = variances <= 1e-12
    found: np.ndarray = np.where(
        constant,
        np.nan,
        (products / n - mean_a * mean_b) / np.sqrt(np.where(constant, 1, variances)),
    )
    return found


def _count(rule: Count, evidence: Evidence, published: bool) -> Outcome:
    rows = evidence.rows(rule.rule.a)
    check_columns(rows, rule.rule.a.table, rule.each)
    outcomes: list[Outcome] = []
    for case in rows[list(rule.each)].drop_duplicates().to_dict("records"):
        try:
            outcomes.append(apply(_in_case(rule.rule, case, evidence), evidence, published))
        except AbsentError:
            continue
    if not outcomes:
        raise AbsentError(f"no {' and '.join(rule.each)} has both results that are compared")
    cases, n = len(outcomes), min(outcome.n for outcome in outcomes)
    needed = rule.needed(cases)
    holds, fails = (sum(o.state == state for o in outcomes) for state in ("holds", "fails"))
    state: State = "open"
    if n >= MINIMUM:
        stray = max(SIGNIFICANT, false_alarm_rate(n)) / 2
        if holds >= needed:
            state = "holds"
        elif fails > cases - needed and binom.sf(fails - 1, cases, stray) <= stray:
            state = "fails"
    agree = [outcome.agrees for outcome in outcomes]
    chance = float(np.mean([outcome.chance for outcome in outcomes]))
    return Outcome(
        measured=holds,
        low=np.nan,
        high=np.nan,
        n=n,
        state=state,
        agrees=None if None in agree else sum(map(bool, agree)) >= needed,
        chance=float(binom.sf(needed - 1, cases, chance)),
        cases=cases,
        note=f"of {cases} cases {holds} hold and {fails} fail; {needed} should hold",
    )


def _in_case(rule: Simple, case: Mapping[Any, Any], evidence: Evidence) -> Simple:
    """Return the rule of a count, restricted to one of its cases."""
    change = {"a": rule.a.model_copy(update={"where": {**rule.a.where, **case}})}
    if isinstance(rule, TwoSided) and isinstance(rule.b, Rows):
        known = {key: v for key, v in case.items() if key in evidence.tables.get(rule.b.table, ())}
        change["b"] = rule.b.model_copy(update={"where": {**known, **rule.b.where}})
    return rule.model_copy(update=change)
