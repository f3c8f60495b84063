"""Numbers as captions and reports write them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import pandas as pd

from gst.analysis.statistics import Correlation


def number(value: float, digits: int = 3) -> str:
    """Write a number with some significant digits: 0.0123, 12.3, 1.23e-05; "-" for NaN."""
    return f"{value:.{digits}g}" if isfinite(value) else "-"


def percent(share: float, digits: int = 1) -> str:
    """Write a fraction as a percentage: 0.249 as "24.9%"."""
    return f"{100 * share:.{digits}f}%" if isfinite(share) else "-"


def weights(share: float) -> str:
    """Write a share of weights as a percentage: 0.02147 as "2.1%", 0.0064 as "0.64%"."""
    return f"{100 * share:.2g}%" if share < 0.995 else "100%"


def noise(value: float) -> str:
    """Name a level of label noise: "40% label noise", "no label noise"."""
    return f"{value:g}% label noise" if value else "no label noise"


def interval(row: Any, scale: float = 1, digits: int = 2, unit: str = "") -> str:
    """Write a row's mean with its interval: "24.9% [24.1, 25.7]".

    Args:
        row: Has the attributes mean, low and high.
        scale: Factor on all three: 100 for percent.
        digits: Digits after the point.
        unit: Written after the mean.
    """
    text = f"{scale * row.mean:.{digits}f}{unit}"
    if not isfinite(row.low):
        return text
    return f"{text} [{scale * row.low:.{digits}f}, {scale * row.high:.{digits}f}]"


def spread(mean: float, sd: float, digits: int) -> str:
    """Write a mean with its standard deviation: "24.9 ± 0.3"; "" where there is no mean."""
    if not isfinite(mean):
        return ""
    return f"{mean:.{digits}f} ± {sd:.{digits}f}" if isfinite(sd) else f"{mean:.{digits}f}"


def estimate(row: Any) -> str:
    """Write a row's mean with its interval to three significant digits: "0.123 [0.11, 0.135]"."""
    bounds = f" [{number(row.low)}, {number(row.high)}]" if isfinite(row.low) else ""
    return number(row.mean) + bounds


def correlation(name: str, found: Correlation) -> str:
    """Write a correlation: "r = -0.73 [-0.85, -0.55], p = 4.4e-06"."""
    if not isfinite(found.r):
        return f"{name} is not defined"
    return f"{name} = {found.r:.2f} [{found.low:.2f}, {found.high:.2f}], p = {found.p:.2g}"


def listing(parts: Sequence[str]) -> str:
    """Join words as a sentence does: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def intervals(table: pd.DataFrame) -> str:
    """Say what the intervals of a table are, over how many replicates, and what is left out."""
    counts = sorted(set(table["n"]))
    n = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
    missing = int(table["missing"].sum())
    lost = f" {missing} values of diverged replicates are left out." if missing else ""
    return f"Bands and bars are bootstrapped 95% intervals over seeds, {n}.{lost}"


def unique(names: pd.Series) -> list[str]:
    """Return the distinct names of a column in their first order."""
    return [str(name) for name in names.unique()]
