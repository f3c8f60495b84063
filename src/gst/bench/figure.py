"""The figure of the benchmark: throughput against the size of the cohort."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from gst.bench.records import Plain, Record, Training, select
from gst.figures.style import GREY, PALETTE, Look, legend, panels, styled

LOOKS: dict[tuple[str, str], Look] = {
    ("float32", "eager"): {"color": PALETTE[0], "marker": "o", "linestyle": "--"},
    ("float32", "captured"): {"color": PALETTE[0], "marker": "s", "linestyle": "-"},
    ("bf16", "eager"): {"color": PALETTE[1], "marker": "o", "linestyle": "--"},
    ("bf16", "captured"): {"color": PALETTE[1], "marker": "s", "linestyle": "-"},
}
LOOP: Look = {"color": GREY, "linestyle": ":"}


@styled
def draw(records: Sequence[Record]) -> Figure:
    """Draw a panel for each network: images a second by replicates, beside the plain loop."""
    cells = select(records, Training)
    networks = list(dict.fromkeys(cell.network for cell in cells))
    replicates = sorted({cell.replicates for cell in cells})
    figure, axes = panels(networks)
    used = [look for look in LOOKS if any((cell.precision, cell.mode) == look for cell in cells)]
    for (_, network), ax in axes.items():
        for precision, mode in used:
            own = select(cells, Training, network=network, precision=precision, mode=mode)
            rates = {cell.replicates: cell.images_per_second for cell in own}
            ax.plot(list(rates), list(rates.values()), **LOOKS[precision, mode])
        for loop in select(records, Plain, network=network):
            ax.axhline(loop.images_per_second, **LOOP)
        ax.set(title=network, xscale="log", xlabel="Replicates", ylabel="Images a second")
        ax.set_xlim(replicates[0] / 1.2, replicates[-1] * 1.2)
        ax.set_ylim(bottom=0)
        ax.set_xticks(replicates)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_locator(NullLocator())
    entries = [(", ".join(look), LOOKS[look]) for look in used]
    legend(figure, [*entries, ("plain loop, one replicate, float32", LOOP)])
    return figure
