"""One look for every figure: sizes, colours, axes, and how a figure is written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gst.artifacts import atomic

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
}

Look = dict[str, Any]
"""Properties of a line, as matplotlib names them."""

styled = matplotlib.rc_context(STYLE)
"""Decorator of every function that draws."""

PANEL = (3.5, 2.9)
"""Width and height of one panel, in inches."""

NARROWEST = 5.0
"""Width of a figure with one panel, in inches."""

GREY = "#5f5f5f"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8C564B", "#B8A800")
"""Colours that readers with any colour vision can tell apart (after Okabe and Ito)."""

METHOD_MARKERS = {"dense": "D", "pruned": "s", "extended": "o", "width": "^"}
VARIANTS = {
    "none": (GREY, "X"),
    "scratch": ("#CC79A7", "D"),
    "s-slow": ("#0072B2", "o"),
    "s-fast": ("#56B4E9", "s"),
    "r-fast": ("#009E73", "^"),
    "l-fast": ("#D55E00", "v"),
}
"""Colour and marker of the stability study's usual variants."""


def variants(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each variant, the usual ones first and always alike."""
    names = set(names)
    known = {name: look for name, look in VARIANTS.items() if name in names}
    others = sorted(names - set(known))
    markers = "PhpdH*8"
    return known | {
        name: (PALETTE[i % len(PALETTE)], markers[(i + i // len(markers)) % len(markers)])
        for i, name in enumerate(others)
    }


def shades(values: Iterable[float]) -> dict[float, str]:
    """Return a colour for each of some ordered values, from dark to light as they grow."""
    ordered = sorted(set(values))
    colours = matplotlib.colormaps["plasma"]
    step = 0.74 / max(len(ordered) - 1, 1)
    return {
        value: matplotlib.colors.to_hex(colours(0.02 + step * i)) for i, value in enumerate(ordered)
    }


def panels(
    columns: Sequence[str],
    rows: Sequence[str] = ("",),
    wrap: int = 3,
    size: tuple[float, float] = PANEL,
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Open a figure with one panel for each row and column.

    Args:
        columns: Names of the columns.
        rows: Names of the rows. A single row wraps after `wrap` columns.
        wrap: Panels beside each other, when there is a single row.
        size: Width and height of a panel, in inches.

    Returns:
        The figure, and its axes by (row, column).
    """
    across = min(len(columns), wrap) if len(rows) == 1 else len(columns)
    down = -(-len(columns) // across) if len(rows) == 1 else len(rows)
    width = max(size[0] * across, NARROWEST)
    layout = ConstrainedLayoutEngine(hspace=0.04, wspace=0.04)
    figure = Figure(figsize=(width, size[1] * down + 0.7), layout=layout)
    keys = [(row, column) for row in rows for column in columns]
    axes = {key: figure.add_subplot(down, across, i + 1) for i, key in enumerate(keys)}
    return figure, axes


def weights_axis(axes: Axes, shares: pd.Series) -> None:
    """Make x the share of weights remaining, in percent, sparser to the right.

    Args:
        axes: The panel.
        shares: The shares that it shows, as fractions.
    """
    low, high = 100 * shares.min(), 100 * shares.max()
    axes.set_xscale("log")
    axes.set_xlim(high * 1.15, low / 1.15)
    steps = (1, 2, 5) if high / low < 150 else (1, 3) if high / low < 1500 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Weights remaining (%)")


def band(
    axes: Axes, x: pd.Series, mean: pd.Series, low: pd.Series, high: pd.Series, **look: Any
) -> None:
    """Plot a line of means, and their intervals as a band of the same colour."""
    axes.fill_between(x, low, high, color=look["color"], alpha=0.18, linewidth=0)
    axes.plot(x, mean, **look)


def legend(figure: Figure, entries: Sequence[tuple[str, Look]]) -> None:
    """Put one legend above all panels, from labels and the looks of their lines."""
    handles = [Line2D([], [], label=label, **look) for label, look in entries]
    widest = 0.6 + 0.07 * max(len(label) for label, _ in entries)
    columns = min(len(handles), int(figure.get_figwidth() / widest))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def note(figure: Figure, text: str) -> None:
    """Put a small remark below all panels: n, intervals, what was left out."""
    lines = textwrap.fill(text, int(figure.get_figwidth() * 16))
    figure.supxlabel(lines, fontsize=7.5, color=GREY)


def save(figure: Figure, stem: str | Path) -> None:
    """Write a figure to {stem}.pdf and {stem}.png; the same figure gives the same bytes."""
    stem = Path(stem)
    for suffix, undated in ((".pdf", {"CreationDate": None}), (".png", {"Software": None})):
        with matplotlib.rc_context(STYLE), atomic(stem.with_name(stem.name + suffix)) as temporary:
            figure.savefig(temporary, format=suffix[1:], metadata=undated)
