"""The tables that claims are held against, seen through one study and one protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from gst.analysis.rules import Filter, Range, Rows

POINTS = frozenset(
    {
        "best_test_accuracy",
        "gap",
        "report_error",
        "selection_error",
        "test_accuracy",
        "test_error",
        "test_error_dense",
        "test_error_pruned",
        "noisy_excess",
        "train_accuracy",
        "final_accuracy",
        "final_gap",
        "accuracy_dense",
        "accuracy_sparse",
        "accuracy_difference",
    }
)
"""Quantities that tables hold as fractions and claims state in percentage points."""

DERIVED: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "loss_gap": lambda t: t["loss_noisy"] - t["loss_original"],
    "final_accuracy": lambda t: t["test_accuracy"] if "test_accuracy" in t else 1 - t["test_error"],
    "final_gap": lambda t: t["train_accuracy"] - (1 - t["test_error"]),
}
"""Quantities computed from a table's columns."""

CLEAN = {"best_test_accuracy": "final_accuracy", "gap": "final_gap"}
"""What the clean protocol takes in place of quantities that belong to the best test epoch."""

SPLITS = {"published": "test", "clean": "train"}
"""Images on which each protocol measures flatness."""


class AbsentError(LookupError):
    """The runs that a rule needs are not there; the message says which."""


@dataclass(frozen=True)
class Evidence:
    """The tables, seen through some benchmarks of one study and one protocol.

    Attributes:
        tables: By name.
        study: Only its rows count.
        benchmarks: For each published benchmark the one of the study that is it or stands for
            it; None where there is none.
        protocol: Only its selections and measurements count.
    """

    tables: Mapping[str, pd.DataFrame]
    study: str
    benchmarks: Mapping[str, str | None]
    protocol: Literal["published", "clean"]

    def rows(self, rows: Rows, over: str | None = None) -> pd.DataFrame:
        """Return the selected rows, with the quantity as `value`, NaN where a run diverged.

        Args:
            rows: What to select.
            over: A column that is returned as `across`.

        Raises:
            AbsentError: If there are none, or none with one of the numbers that are listed.
            ValueError: If the table lacks a column.
        """
        table = self.tables.get(rows.table)
        if table is None or table.empty:
            raise AbsentError(f"there is no table of {rows.table}")
        clean = CLEAN if self.protocol == "clean" else {}
        quantity = clean.get(rows.quantity, rows.quantity)
        across = clean.get(over, over) if over else quantity
        named = {quantity, across, *rows.where}
        table = table.assign(**{name: DERIVED[name](table) for name in named & DERIVED.keys()})
        check_columns(table, rows.table, named)
        fixed = {"study": self.study, "protocol": self.protocol, "split": SPLITS[self.protocol]}
        where: dict[str, Filter] = {key: own for key, own in fixed.items() if key in table}
        where |= {**rows.where, "benchmark": self.own(rows)}
        wanted = [_accepts(table, column, accepted) for column, accepted in where.items()]
        table = table[np.logical_and.reduce(wanted)]
        if table.empty:
            raise AbsentError(f"no run has {_describe(rows)}")
        for column, accepted in rows.where.items():
            if absent := _absent_numbers(table[column], accepted):
                raise AbsentError(f"no run has {column} {' or '.join(map(str, absent))}")
        value = table[quantity].astype(float)
        if quantity in POINTS:
            value = 100 * value
        if "diverged" in table:
            value = value.mask(table["diverged"].astype(bool))
        return table.assign(value=value, across=table[across])

    def cells(self, rows: Rows, *over: str, magnitude: bool = False) -> pd.Series:
        """Return the mean (magnitude) of each benchmark, noise, seed and further columns.

        Benchmarks that the rows name are not told apart.
        """
        table = self.rows(rows)
        check_columns(table, rows.table, over)
        value = table["value"].abs() if magnitude else table["value"]
        apart = () if "benchmark" in rows.where else ("benchmark",)
        keys = dict.fromkeys(key for key in (*apart, "noise", *over, "seed") if key in table)
        return means(value.groupby([table[key] for key in keys]))

    def own(self, rows: Rows) -> tuple[str, ...]:
        """Return the benchmarks of the study that rows belong to.

        Raises:
            AbsentError: If nothing in the study stands for one that the rows name.
        """
        named = rows.where.get("benchmark")
        if named is None:
            return tuple(filter(None, self.benchmarks.values()))
        found = []
        for name in named if isinstance(named, tuple) else (named,):
            own = self.benchmarks.get(str(name), name)
            if own is None:
                raise AbsentError(f"no benchmark of the study stands for {name}")
            found.append(str(own))
        return tuple(found)


def check_columns(table: pd.DataFrame, name: str, columns: Sequence[str] | set[str]) -> None:
    """Stop when a rule names a column that its table does not have.

    Raises:
        ValueError: If one is missing; the message names it and those that are there.
    """
    missing = sorted(set(columns).difference(table))
    if missing:
        raise ValueError(f"the table {name} has no {', '.join(missing)}; it has {list(table)}")


def _accepts(table: pd.DataFrame, column: str, accepted: Filter) -> pd.Series:
    values = table[column]
    if isinstance(accepted, Range):
        low = -np.inf if accepted.above is None else accepted.above
        high = np.inf if accepted.below is None else accepted.below
        return (values > low) & (values < high)
    if isinstance(accepted, tuple):
        return values.isin(accepted)
    if accepted == "last" and pd.api.types.is_numeric_dtype(values):
        group = [table[key] for key in ("benchmark", "noise", "method") if key in table]
        return values == values.groupby(group).transform("max")
    return values == accepted


def _absent_numbers(values: pd.Series, accepted: Filter) -> list[str | float]:
    """Return the numbers that a filter lists and that a column does not hold."""
    listed = accepted if isinstance(accepted, tuple) else ()
    return [x for x in listed if not isinstance(x, str) and not (values == x).any()]


def _describe(rows: Rows) -> str:
    def text(value: Filter) -> str:
        if isinstance(value, Range):
            bounds = value.model_dump(exclude_none=True).items()
            return " and ".join(f"{name} {bound:g}" for name, bound in bounds)
        return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    where = ", ".join(f"{column} {text(value)}" for column, value in rows.where.items())
    return where or f"rows in the table {rows.table}"


def means(groups: Any) -> pd.Series:
    """Return the mean of each group of a series, missing where one of its values is."""
    means: pd.Series = groups.mean().where(groups.count() == groups.size())
    return means
