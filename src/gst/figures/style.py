"""One look for every figure: sizes, colours, axes, and how a figure is written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

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


class Variant(NamedTuple):
    """How a variant of the stability study looks, as a point and as a line."""

    colour: str
    marker: str
    line: str = "-"


TARGETS = {"S": "#0072B2", "R": "#009E73", "L": "#D55E00"}
"""Colours of the pruning targets."""

VARIANTS = {
    "none": Variant(GREY, "X", "--"),
    "scratch": Variant("#CC79A7", "D"),
    "s-slow": Variant(TARGETS["S"], "o"),
    "s-fast": Variant("#56B4E9", "s"),
    "r-fast": Variant(TARGETS["R"], "^"),
    "l-fast": Variant(TARGETS["L"], "v"),
}
"""Looks of the stability study's usual variants."""


def variants(names: Iterable[str]) -> dict[str, Variant]:
    """Return the look of each variant, the usual ones first and always alike.

    Other variants are sorted, numbers by value. Those with the same word before the first
    hyphen (zero-1, zero-50) are shades of one colour, darker one after the other.
    """
    names = set(names)
    known = {name: look for name, look in VARIANTS.items() if name in names}
    families: dict[str, list[str]] = {}
    for name in sorted(names - set(known), key=_natural):
        families.setdefault(name.split("-")[0], []).append(name)
    taken = {look.colour for look in known.values()}
    taken |= {TARGETS[word.upper()] for word in families if word.upper() in TARGETS}
    hues: Sequence[str] = [colour for colour in PALETTE if colour not in taken]
    lines = ["-", "--", ":", "-."]
    if len(families) > len(hues):
        hues, lines = PALETTE, lines[1:]
    markers = "PhpdH*8"
    found = known
    for i, (word, members) in enumerate(families.items()):
        turn, hue = divmod(i, len(hues))
        colours = _darker(TARGETS.get(word.upper(), hues[hue]), len(members))
        found |= {
            name: Variant(
                colour, markers[(hue + turn + j) % len(markers)], lines[turn % len(lines)]
            )
            for j, (name, colour) in enumerate(zip(members, colours, strict=True))
        }
    return found


def chains(methods: Iterable[str]) -> dict[str, Look]:
    """Return the look of each way to prune between levels: the usual one is black."""
    others = [method for method in methods if method != "pruned"]
    looks = {"pruned": {"color": "#1a1a1a", "marker": METHOD_MARKERS["pruned"], "linestyle": "-"}}
    for i, method in enumerate(others):
        turn, hue = divmod(i, len(PALETTE))
        marker = "oD^v<>P"[(hue + turn) % 7]
        line = ("-", "--", ":", "-.")[turn % 4]
        looks[method] = {"color": PALETTE[hue], "marker": marker, "linestyle": line}
    return {m: {**looks[m], "markersize": 3, "linewidth": 1.2} for m in looks if m in methods}


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts numbers in names by value, and before words."""
    parts = re.split(r"(\d+)", name)
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts if part
    ]


def _darker(colour: str, count: int) -> list[str]:
    """Return shades of a colour, from light to dark; one shade is the colour itself."""
    base = np.array(matplotlib.colors.to_rgb(colour))
    ends = np.array([0.45 * base + 0.55, 0.45 * base])
    at = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    return [
        matplotlib.colors.to_hex(base + abs(t) * (ends[int(t > 0)] - base)) for t in at.tolist()
    ]


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


def points(
    axes: Axes,
    at: ArrayLike,
    table: pd.DataFrame,
    scale: float = 1,
    flat: bool = False,
    **look: Any,
) -> None:
    """Plot means and their intervals as bars.

    Args:
        axes: The panel.
        at: Where each mean is, along the other axis.
        table: Columns mean, low and high.
        scale: Factor on these.
        flat: Whether means run along x instead of y.
        look: Properties of the line and its points.
    """
    mean, low, high = (scale * table[name].to_numpy() for name in ("mean", "low", "high"))
    # A table that was written and read may be off in its last bit.
    ends = [np.maximum(mean - low, 0), np.maximum(high - mean, 0)]
    look = {"elinewidth": 1.1, **look}
    if flat:
        axes.errorbar(mean, at, xerr=ends, **look)
    else:
        axes.errorbar(at, mean, yerr=ends, **look)


def scale_of(values: pd.Series) -> str:
    """Return the scale for an axis: logarithmic if values span more than a factor of 30."""
    return "log" if values.min() > 0 and values.max() > 30 * values.min() else "linear"


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


UNDATED: dict[str, dict[str, None]] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}
"""What is left out of each kind of file, so that the same figure gives the same bytes."""


def save(figure: Figure, stem: str | Path, suffixes: Iterable[str] = UNDATED) -> None:
    """Write a figure to {stem}.png and {stem}.pdf, or to one of them.

    The order is kept: drawn a second time, a figure may lay its parts out a pixel off.
    """
    stem = Path(stem)
    for suffix in suffixes:
        with matplotlib.rc_context(STYLE), atomic(stem.with_name(stem.name + suffix)) as temporary:
            figure.savefig(temporary, format=suffix[1:], metadata=UNDATED[suffix])
