"""Lines of means with their intervals, one a variant; above all, accuracy during training."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.statistics import summarise
from gst.figures import style

MOMENTS = {"test_accuracy": "trained", "pruned_accuracy": "pruned"}
"""When accuracy was taken, by column of the table of curves: before an event, or right after."""

WHOLE, LATE = "whole training", "second half, enlarged"

CUT = 0.05
"""Share of the values in the enlarged half that may lie below it: those just after an event."""


def variants(
    ax: Axes, table: pd.DataFrame, x: str, looks: dict[str, style.Variant], scale: float = 1
) -> None:
    """Draw the means of some variants, the first on top, and their intervals as bands.

    Args:
        ax: The panel.
        table: Columns method, x, mean, low, high, in order of x.
        x: The column across.
        looks: The look of each variant that is drawn.
        scale: Factor on the means: 100 for percent.
    """
    for method, look in reversed(looks.items()):
        line = table[table["method"] == method]
        mean, low, high = (scale * line[name] for name in ("mean", "low", "high"))
        given = {"color": look.colour, "linestyle": look.line, "linewidth": 1.1}
        style.band(ax, line[x], mean, low, high, **given)


def legend(figure: Figure, looks: dict[str, style.Variant]) -> None:
    """Put the legend of the variants' lines above all panels."""
    entries = [
        (name, {"color": look.colour, "linestyle": look.line}) for name, look in looks.items()
    ]
    style.legend(figure, entries)


def accuracies(curves: pd.DataFrame) -> pd.DataFrame:
    """Return mean accuracies by benchmark, method, epoch and moment (trained, pruned)."""
    keys = ["benchmark", "method", "epoch"]
    long = curves.melt([*keys, "seed"], list(MOMENTS), "moment", "accuracy")
    long = long.dropna(subset="accuracy").replace({"moment": MOMENTS})
    table = summarise(long, [*keys, "moment"], "accuracy")
    # "trained" comes before "pruned" already, and a stable sort keeps it so.
    return table.sort_values(keys, kind="stable", ignore_index=True)


def accuracy(ax: Axes, table: pd.DataFrame, looks: dict[str, style.Variant], part: str) -> None:
    """Draw what `accuracies` returns, in percent: the whole training, or its second half."""
    if part == LATE:
        late = table["epoch"] >= table["epoch"].max() / 2
        table = table[late & (table["moment"] == "trained")]
        low = 100 * table["low"].fillna(table["mean"]).quantile(CUT)
        high = 100 * table["high"].fillna(table["mean"]).max()
        room = 0.1 * max(high - low, 0.1)
        ax.set_ylim(low - room, high + room)
    variants(ax, table, "epoch", looks, scale=100)
    ax.set(xlabel="Finished epochs", ylabel="Test accuracy (%)")
