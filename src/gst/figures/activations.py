"""Figure of the stability study about activations after batch normalization."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gst.analysis.frames import groups
from gst.analysis.statistics import summarise
from gst.figures import style, words
from gst.registry import register

STATES = {"untrained": (style.GREY, "o"), "trained": ("#D55E00", "s")}
"""Colour and marker of each state of the network."""

DISTANCE = "distance from N(0, 1)"
MOMENTS = ("mean", "std", "ks")


@register(
    "stability_activations",
    title="Normalised activations against the standard normal distribution",
    study="stability",
    tables=("activations",),
    needs=("activations",),
)
class Activations:
    """Distribution of batch-normalised activations in each layer (Appendix B)."""

    @staticmethod
    def summarise(activations: pd.DataFrame) -> pd.DataFrame:
        """Return means over seeds, by state and layer.

        quantity: density (at z), or mean, std and ks of the whole distribution. depth numbers
        the layers from 1.
        """
        run = ["benchmark", "method", "state", "layer"]
        layers = activations[["benchmark", "method", "layer"]].drop_duplicates()
        layers["depth"] = layers.groupby(["benchmark", "method"]).cumcount() + 1
        densities = summarise(activations, [*run, "z"], "density").assign(quantity="density")
        once = activations.drop_duplicates([*run, "seed"])
        parts = [summarise(once, run, name).assign(quantity=name, z=np.nan) for name in MOMENTS]
        found = pd.concat([densities, *parts], ignore_index=True)
        found = found.merge(layers, on=["benchmark", "method", "layer"], validate="m:1")
        columns = ["benchmark", "method", "state", "depth", "layer", "quantity", "z"]
        return found[[*columns, "mean", "low", "high", "n", "missing"]]

    @staticmethod
    @style.styled
    def draw(table: pd.DataFrame) -> Figure:
        """Draw a row a network: the densities of all layers in both states, and the distances."""
        networks = table[["benchmark", "method"]].drop_duplicates().agg("/".join, axis=1)
        columns = [state for state in STATES if (table["state"] == state).any()]
        figure, axes = style.panels([*columns, DISTANCE], list(networks), size=(4.0, 3.1))
        shades = style.shades(table["depth"])
        for (network, column), ax in axes.items():
            benchmark, method = network.split("/")
            own = table[(table["benchmark"] == benchmark) & (table["method"] == method)]
            if column == DISTANCE:
                _distances(ax, own[own["quantity"] == "ks"])
            else:
                density = own[(own["state"] == column) & (own["quantity"] == "density")]
                _densities(ax, density, shades)
            ax.set_title(f"{benchmark}, {method}:\n{column}")
        entries: list[tuple[str, style.Look]] = [
            (f"layer {depth:g}", {"color": colour}) for depth, colour in shades.items()
        ]
        ends = [entries[0], entries[-1]] if len(entries) > 1 else entries
        states: list[tuple[str, style.Look]] = [
            (state, {"color": STATES[state][0], "marker": STATES[state][1]}) for state in columns
        ]
        normal = ("N(0, 1)", {"color": "black", "linestyle": "--"})
        style.legend(figure, [*ends, normal, *states])
        style.note(
            figure,
            "Densities are means over seeds, layers from dark (first) to light (last). "
            f"{words.intervals(table)}",
        )
        return figure

    @staticmethod
    def caption(table: pd.DataFrame) -> str:
        """Say how far the layers are from the standard normal distribution."""
        sentences = []
        for (benchmark, method, state), own in groups(
            table[table["quantity"] == "ks"], "benchmark", "method", "state"
        ):
            ends = own.loc[[own["mean"].idxmin(), own["mean"].idxmax()]]
            least, most = ends.itertuples(index=False)
            sentences.append(
                f"{benchmark}, {method}, {state}: from {words.interval(least)} ({least.layer}) to "
                f"{words.interval(most)} ({most.layer}), {words.number(own['mean'].mean())} on "
                f"average over {len(own)} layers."
            )
        return "\n\n".join(
            [
                "Activations after batch normalization, without its affine map, of each layer, "
                "against the standard normal distribution that E[BN] assumes. Right: the "
                "Kolmogorov-Smirnov distance of each layer to it, 0 if it is the same.",
                *sentences,
                words.intervals(table),
            ]
        )


def _densities(ax: Axes, table: pd.DataFrame, shades: dict[float, str]) -> None:
    for (depth,), line in groups(table, "depth"):
        line = line.sort_values("z")
        ax.plot(line["z"], line["mean"], color=shades[depth], linewidth=1)
    z = np.linspace(-4, 4, 161)
    ax.plot(z, np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), color="black", linestyle="--")
    ax.set(xlabel="Normalised activation (standard deviations)", ylabel="Density", xlim=(-4, 4))


def _distances(ax: Axes, table: pd.DataFrame) -> None:
    for state, (colour, marker) in STATES.items():
        line = table[table["state"] == state].sort_values("depth")
        style.points(ax, line["depth"], line, color=colour, marker=marker)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="Layer", ylabel="Kolmogorov-Smirnov distance")
