"""Walks through tables group by group and row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd


def groups(table: pd.DataFrame, *by: str) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Yield the values of some columns, and the rows that have them, in order of appearance."""
    for key, rows in table.groupby(list(by), sort=False, dropna=False):
        yield tuple(key), rows


def rows(table: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table; their attributes are its columns."""
    yield from table.itertuples(index=False)


def stack(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    """Put tables one below the other, with some columns, which are there if no table is."""
    if not tables:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(tables, ignore_index=True)[list(columns)]
