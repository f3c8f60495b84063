"""How far accounts of generalization predict the test accuracy of networks of another seed.

Runs of one seed share their initialisation, and the levels of one chain follow from each other,
so a seed is the unit here: it is left out as a whole, every statistic is taken seed by seed, and
intervals are Student's over seeds. With fewer than three seeds there is none.

A rank correlation is near zero where accuracy rises and then falls with an account, as it does
with size under double descent. Beside it stands the share of variance that a bent line predicts,
which sees both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gst.analysis.accounts import ACCOUNTS
from gst.analysis.frames import groups
from gst.analysis.statistics import spearman, student_interval

CORNERS = 5
"""Points, evenly spread over the ranks of an account, at which the line may bend."""

PENALTIES = np.geomspace(0.1, 100, 7)
"""Ridge penalties to choose from: variance of the noise over that of a corner's height."""

FEWEST = 4
"""Fewest runs of a seed from which its statistics are computed."""

POOLED = "all conditions"
"""Stands for the benchmark where the conditions are taken together."""

TOGETHER = "all together"
"""Stands for the account where all of them predict."""

COLUMNS = ("benchmark", "noise", "statistic", "account", "mean", "low", "high", "n", "runs")
"""Statistics: correlation (Spearman's, of an account with accuracy), alone (R^2 of an account, and
of `TOGETHER`) and unique (how much R^2 falls when the account is left out of all together)."""

Floats = NDArray[np.float64]


def evaluate(accounts: pd.DataFrame) -> pd.DataFrame:
    """Return how far each account predicts accuracy, by condition and over all of them.

    A condition is a benchmark and its level of label noise. Within each, the runs count for which
    all accounts are known that are known for any run and vary.

    Args:
        accounts: As `accounts.accounts_table` makes it, of one benchmark or several.

    Returns:
        The columns of `COLUMNS`: mean over seeds, its 95% interval, number n of seeds, number of
        runs. Noise is NaN for `POOLED`, which is there if there are several conditions. Where
        runs are too few all is NaN, and n is 0.
    """
    finished = accounts.dropna(subset="test_accuracy")
    conditions = []
    for (benchmark, noise), rows in groups(finished, "benchmark", "noise"):
        kept, known = _complete(rows)
        if known:
            conditions.append((benchmark, noise, kept, known))
    parts = [_evaluate(*condition) for condition in conditions]
    if len(conditions) > 1:
        shared = [name for name in ACCOUNTS if all(name in known for *_, known in conditions)]
        together = pd.concat([kept for *_, kept, _ in conditions], ignore_index=True)
        if shared:
            parts.append(_evaluate(POOLED, np.nan, together, shared))
    return pd.DataFrame([row for part in parts for row in part], columns=list(COLUMNS))


def _complete(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that lack none of the known accounts, and the accounts that vary."""
    known = [name for name in ACCOUNTS if rows[name].notna().any()]
    kept = rows.dropna(subset=known, ignore_index=True)
    return kept, [name for name in known if kept[name].nunique() > 1]


def _evaluate(
    benchmark: str, noise: float, rows: pd.DataFrame, known: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Yield the rows of a condition, or of several together."""

    def row(statistic: str, account: str, values: pd.Series) -> dict[str, object]:
        interval = student_interval(values)._asdict()
        head = {"benchmark": benchmark, "noise": noise, "statistic": statistic, "account": account}
        return {**head, **interval, "runs": len(rows)}

    for name in known:
        yield row("correlation", name, seed_correlations(rows, name))
    whole = seed_scores(rows, known)
    for name in known:
        yield row("alone", name, seed_scores(rows, [name]))
    yield row("alone", TOGETHER, whole)
    for name in known:
        others = [other for other in known if other != name]
        yield row("unique", name, whole - (seed_scores(rows, others) if others else 0))


def seed_correlations(rows: pd.DataFrame, account: str) -> pd.Series:
    """Return each seed's rank correlation of an account with accuracy, mean over its conditions.

    Args:
        rows: Columns benchmark, noise, seed, test_accuracy and the account.
        account: Which one.

    Returns:
        Spearman's correlation, by seed; NaN for seeds with too few runs.
    """
    found: dict[int, list[float]] = {}
    for (_, _, seed), own in groups(rows, "benchmark", "noise", "seed"):
        r = spearman(own[account], own["test_accuracy"]) if len(own) >= FEWEST else np.nan
        found.setdefault(seed, []).append(r)
    return pd.Series({seed: _mean(values) for seed, values in sorted(found.items())}, dtype=float)


def seed_scores(rows: pd.DataFrame, accounts: Sequence[str]) -> pd.Series:
    """Return how well each seed's accuracies are predicted from the runs of all other seeds.

    Accuracy is standardised, and accounts are ranked, within each condition by the runs of the
    other seeds. The prediction is a sum of one bent line an account, the same for all conditions,
    fitted to the runs of the other seeds by ridge regression. The score is
    R^2 = 1 - sum (y - f)^2 / sum y^2: 1 is perfect, 0 no better than the mean of the condition,
    and below 0 is worse.

    Args:
        rows: Columns benchmark, noise, seed, test_accuracy and the accounts.
        accounts: The accounts that predict together.

    Returns:
        R^2 by seed; NaN for one with too few runs, without other seeds, or of constant accuracy.
    """
    found = {}
    for seed in sorted(rows["seed"].unique()):
        others = (rows["seed"] != seed).to_numpy()
        x, y = _within_conditions(rows, accounts, others)
        fit, held = others & np.isfinite(y), ~others & np.isfinite(y)
        squares = float(np.sum(y[held] ** 2))
        found[seed] = np.nan
        if held.sum() >= FEWEST and fit.any() and squares > 0:
            design = np.concatenate([_bends(column) for column in x.T], axis=1)
            error = y[held] - design[held] @ _ridge(design[fit], y[fit])
            found[seed] = 1 - float(np.sum(error**2)) / squares
    return pd.Series(found, dtype=float)


def _within_conditions(
    rows: pd.DataFrame, accounts: Sequence[str], fit: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return accounts as ranks in [0, 1], [n, p], and standardised accuracy [n], by some runs.

    Accuracy is NaN in conditions where these runs have none, or all the same.
    """
    accuracy = rows["test_accuracy"].to_numpy()
    x, y = np.zeros((len(rows), len(accounts))), np.full(len(rows), np.nan)
    conditions = rows.groupby(["benchmark", "noise"], sort=False).ngroup().to_numpy()
    for condition in np.unique(conditions):
        own = np.flatnonzero(conditions == condition)
        known = own[fit[own]]
        if known.size < FEWEST or np.ptp(accuracy[known]) == 0:
            continue
        y[own] = (accuracy[own] - accuracy[known].mean()) / accuracy[known].std()
        for column, name in enumerate(accounts):
            values = rows[name].to_numpy(dtype=np.float64)
            x[own, column] = _ranks(values[own], values[known])
    return x, y


def _ranks(values: ArrayLike, among: Floats) -> Floats:
    """Return the share of some numbers that is below each value, ties counted half."""
    ordered = np.sort(among)
    ends = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    ranks: Floats = (ends[0] + ends[1]) / (2 * ordered.size)
    return ranks


def _bends(ranks: Floats) -> Floats:
    """Return the shares of the corners in each point of a bent line, [n, CORNERS]."""
    corners = np.linspace(0, 1, CORNERS)
    shares: Floats = np.maximum(1 - np.abs(ranks[:, None] - corners) * (CORNERS - 1), 0)
    return shares


def _ridge(design: Floats, y: Floats) -> Floats:
    """Return ridge coefficients [p], the penalty chosen by generalised cross-validation.

    It has the least RSS / (n - trace of the hat matrix)^2 (Golub, Heath and Wahba 1979).
    """
    u, s, v = np.linalg.svd(design, full_matrices=False)
    along = u.T @ y

    def loss(penalty: float) -> float:
        shrunk = s**2 / (s**2 + penalty)
        rest = y - u @ (shrunk * along)
        return float(rest @ rest) / (len(y) - float(shrunk.sum())) ** 2

    best = min(PENALTIES, key=loss)
    heights: Floats = v.T @ (s / (s**2 + best) * along)
    return heights


def _mean(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else np.nan
