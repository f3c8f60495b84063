"""Means, correlations and comparisons of replicates, each with its interval and its n.

Values that are not finite (diverged or missing replicates) are left out, and n counts what is
left. Fewer than three replicates give a mean but no interval, and no decision.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, stdtr, stdtrit

MINIMUM = 3
"""Fewest replicates from which an interval, a correlation or a comparison is computed."""

CHUNK = 100
"""Groups whose resamples are held in memory at once, 8 MB at 10,000 resamples."""

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its bootstrap interval over n replicates; NaN where there are too few."""

    mean: float
    low: float
    high: float
    n: int


class Correlation(NamedTuple):
    """A correlation of n pairs: coefficient, two-sided p-value, bootstrap interval."""

    r: float
    p: float
    low: float
    high: float
    n: int


class Match(NamedTuple):
    """A comparison of n pairs of replicates by the matching rule.

    `differs` is None when there are too few pairs to decide.
    """

    difference: float
    sd: float
    differs: bool | None
    n: int


def bootstrap_interval(
    values: ArrayLike, level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean of replicates with its percentile bootstrap interval.

    At three replicates the 95% interval is their range; it then covers less than it says.

    Args:
        values: One value a replicate.
        level: Coverage of the interval, in (0, 1).
        samples: Number of resamples.
        seed: Seed of the resampling, so that a table is the same every time it is made.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    mean, low, high = _intervals(x[None, :], level, samples, seed)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), x.size)


def student_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of replicates with Student's interval, mean +- t s / sqrt(n).

    With few replicates of about normal values it covers what it says, which their bootstrap does
    not; it is wide then: at n = 3, t = 4.3.

    Args:
        values: One value a replicate.
        level: Coverage of the interval, in (0, 1).
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    mean = float(x.mean()) if x.size else np.nan
    if x.size < MINIMUM:
        return Interval(mean, np.nan, np.nan, x.size)
    half = float(stdtrit(x.size - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(x.size))
    return Interval(mean, mean - half, mean + half, x.size)


def summarise(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return the mean and interval of a column within each group, in order of appearance.

    Args:
        table: One row a replicate.
        by: The columns that make a group.
        value: The column to average.

    Returns:
        One row a group: the columns of `by`, mean, low, high, n, and missing, the number of
        replicates that were left out.
    """
    group = table.groupby(by, sort=False, dropna=False).ngroup().to_numpy()
    found = table.loc[~pd.Series(group, table.index).duplicated(), by].reset_index(drop=True)
    values = table[value].to_numpy(dtype=np.float64)
    finite = np.isfinite(values)
    n = np.bincount(group[finite], minlength=len(found))
    order = np.argsort(group[finite], kind="stable")
    ordered, sizes = values[finite][order], n[group[finite][order]]
    bounds = np.full((len(found), 3), np.nan)
    for size in np.unique(sizes):
        own = ordered[sizes == size].reshape(-1, size)
        bounds[n == size] = np.stack(_intervals(own), axis=1)
    found[["mean", "low", "high"]] = bounds
    return found.assign(n=n, missing=np.bincount(group, minlength=len(found)) - n)


def pearson(
    x: ArrayLike, y: ArrayLike, level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> Correlation:
    """Return Pearson's correlation of pairs; its interval resamples the pairs.

    A constant input has no correlation: all but n are NaN.

    Raises:
        ValueError: If x and y have different lengths.
    """
    from scipy.stats import pearsonr  # takes half a second, which most jobs can save

    a, b = _pairs(x, y)
    if a.size < MINIMUM or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(np.nan, np.nan, np.nan, np.nan, a.size)
    result = pearsonr(a, b)
    a, b = a - a.mean(), b - b.mean()
    a, b = a / a.std(), b / b.std()
    weights = _resampling(a.size, samples, seed) / a.size
    mean_a, mean_b = weights @ a, weights @ b
    variances = (weights @ a**2 - mean_a**2) * (weights @ b**2 - mean_b**2)
    covariances = weights @ (a * b) - mean_a * mean_b
    return Correlation(
        float(result.statistic),
        float(result.pvalue),
        *_percentiles(_ratio(covariances, variances), level),
        a.size,
    )


def kendall(
    x: ArrayLike, y: ArrayLike, level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> Correlation:
    """Return Kendall's rank correlation (tau-b) of pairs; its interval resamples the pairs.

    With s the matrix of signs of x_i - x_j, and t that of y, a resample in which pair i occurs
    w_i times has tau-b = w'(s*t)w / sqrt(w's^2w w't^2w), elementwise products.
    A constant input has no correlation: all but n are NaN.

    Raises:
        ValueError: If x and y have different lengths.
    """
    from scipy.stats import kendalltau  # takes half a second, which most jobs can save

    a, b = _pairs(x, y)
    if a.size < MINIMUM or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(np.nan, np.nan, np.nan, np.nan, a.size)
    s, t = (np.sign(v[:, None] - v[None, :]) for v in (a, b))
    weights = _resampling(a.size, samples, seed)
    agreement, untied_a, untied_b = (
        ((weights @ signs) * weights).sum(axis=1) for signs in (s * t, s**2, t**2)
    )
    result = kendalltau(a, b)
    return Correlation(
        float(result.statistic),
        float(result.pvalue),
        *_percentiles(_ratio(agreement, untied_a * untied_b), level),
        a.size,
    )


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation of pairs, ties at their mean rank.

    NaN where an input is constant, or a value is not finite.
    """
    a, b = (pd.Series(np.asarray(v, dtype=np.float64)) for v in (x, y))
    if a.empty or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.nan
    return float(a.rank().corr(b.rank()))


def partial(
    x: ArrayLike,
    y: ArrayLike,
    group: ArrayLike,
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> Correlation:
    """Return Pearson's correlation of pairs given a category, such as the pruning target.

    It is the correlation of what is left of x and y after the mean of each group is removed.
    With g groups, t = r sqrt(f / (1 - r^2)) has f = n - 1 - g degrees of freedom, so that
    p = I_{1 - r^2}(f / 2, 1 / 2), the regularised incomplete beta function. The interval
    resamples the pairs over all groups, and takes the means of the groups anew each time.
    Inputs that are constant within each group have no correlation: all but n are NaN.

    Args:
        x: One value a pair.
        y: One value a pair.
        group: The category of each pair.
        level: Coverage of the interval, in (0, 1).
        samples: Number of resamples.
        seed: Seed of the resampling.

    Raises:
        ValueError: If x, y and group have different lengths.
    """
    codes = pd.factorize(np.asarray(group), use_na_sentinel=False)[0]
    if len(codes) != np.size(x):
        raise ValueError(f"pairs need equal lengths, found {np.size(x)} and {len(codes)} groups")
    a, b, codes = _pairs(x, y, codes)
    names, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    freedom = a.size - 1 - names.size
    if freedom < 1 or np.all(a == a[first][codes]) or np.all(b == b[first][codes]):
        return Correlation(np.nan, np.nan, np.nan, np.nan, a.size)
    member = (codes[:, None] == np.arange(names.size)).astype(np.float64)
    sizes = member.sum(axis=0)
    a, b = (v - (member @ (v @ member / sizes)) for v in (a, b))
    a, b = a / a.std(), b / b.std()
    r = float(np.clip(np.mean(a * b), -1, 1))
    weights = _resampling(a.size, samples, seed)
    counts = weights @ member
    shares = np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0)

    def within(u: Floats, v: Floats) -> Floats:
        """Return each resample's sum of products about the means of its groups, over n."""
        means = (
            (weights @ (member * u[:, None])) * (weights @ (member * v[:, None])) * shares
        ).sum(1)
        return (weights @ (u * v) - means) / a.size

    return Correlation(
        r,
        float(betainc(freedom / 2, 0.5, 1 - r**2)),
        *_percentiles(_ratio(within(a, b), within(a, a) * within(b, b)), level),
        a.size,
    )


def matching(a: ArrayLike, b: ArrayLike) -> Match:
    """Compare two conditions by the matching rule, on seed-paired differences a - b.

    Two results differ if the mean of the differences is at least one standard deviation (ddof
    1) away from zero, else they match (regularization paper, section 2). Differences that are
    all zero match.

    Args:
        a: One value a seed.
        b: The other condition's values, in the same order of seeds.

    Raises:
        ValueError: If a and b have different lengths.
    """
    first, second = _pairs(a, b)
    d = first - second
    difference = float(d.mean()) if d.size else np.nan
    sd = float(d.std(ddof=1)) if d.size > 1 else np.nan
    differs = bool(abs(difference) >= sd and difference != 0) if d.size >= MINIMUM else None
    return Match(difference, sd, differs, d.size)


def false_alarm_rate(n: int) -> float:
    """Return how often the matching rule finds a difference where there is none.

    For normal differences with mean zero the rule asks whether |t| >= sqrt(n) for Student's t
    with n - 1 degrees of freedom: 0.225 at n = 3, 0.012 at n = 10.

    Raises:
        ValueError: If n < 2, for which there is no standard deviation.
    """
    if n < 2:
        raise ValueError(f"the matching rule needs at least 2 pairs, found {n}")
    return float(2 * stdtr(n - 1, -np.sqrt(n)))


def _pairs(x: ArrayLike, y: ArrayLike, *others: Any) -> tuple[Any, ...]:
    """Return the pairs of which both values are finite, and the like entries of other arrays."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"pairs need equal lengths, found {a.shape} and {b.shape}")
    both = np.isfinite(a) & np.isfinite(b)
    return tuple(values[both] for values in (a, b, *others))


def _intervals(
    values: Floats, level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Return the means of some groups of n finite values, [G, n], and their intervals, each [G]."""
    size, n = values.shape
    if n == 0:
        nothing = np.full(size, np.nan)
        return nothing, nothing, nothing
    mean = values.mean(axis=1)
    if n < MINIMUM:
        return mean, np.full(size, np.nan), np.full(size, np.nan)
    tail = (1 - level) / 2
    weights = _resampling(n, samples, seed) / n
    ends = np.empty((2, size))
    for first in range(0, size, CHUNK):
        rows = slice(first, first + CHUNK)
        ends[:, rows] = np.quantile(values[rows] @ weights.T, [tail, 1 - tail], axis=1)
    return mean, np.minimum(ends[0], mean), np.maximum(ends[1], mean)


@lru_cache(maxsize=8)
def _resampling(n: int, samples: int, seed: int) -> Floats:
    """Return how often each of n values occurs in each resample, shape [samples, n]."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=samples)
    return counts.astype(np.float64)


def _ratio(numerator: Floats, squared: Floats) -> Floats:
    """Return numerator / sqrt(squared), NaN where a resample is constant."""
    constant = squared <= 1e-12
    return np.where(constant, np.nan, numerator / np.sqrt(np.where(constant, 1, squared)))


def _percentiles(values: Floats, level: float) -> tuple[float, float]:
    """Return the bounds of the central share `level` of the values, NaN left out."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)
