"""Walks through tables group by group and row by row, and makes them from arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


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


def long(axes: Mapping[str, ArrayLike], **arrays: np.ndarray) -> pd.DataFrame:
    """Return arrays as a table, one row an entry.

    Args:
        axes: For each dimension, in order, the name of its column and its values.
        arrays: The arrays, each of the shape that the axes say, by the name of their column.
    """
    grid = np.meshgrid(*(np.asarray(values) for values in axes.values()), indexing="ij")
    keys = {name: values.ravel() for name, values in zip(axes, grid, strict=True)}
    return pd.DataFrame({**keys, **{name: array.ravel() for name, array in arrays.items()}})
