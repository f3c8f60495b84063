"""The page of the benchmark, docs/performance.md, made of its JSON files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from gst.artifacts import atomic
from gst.bench.cost import ASSUMPTIONS, Cost, cost
from gst.bench.figure import draw
from gst.bench.records import (
    Agreement,
    Augmentation,
    Copy,
    Evaluation,
    Failure,
    Machine,
    Measurements,
    Network,
    Plain,
    Processes,
    Product,
    Record,
    Start,
    Training,
    read,
    select,
)
from gst.config import Study, read_study
from gst.figures.style import save

INTRODUCTION = """\
# Performance

How fast the engine trains, held against what the device can do at best and against a plain PyTorch
loop. `python -m gst bench --out FILE.json` measures a machine (`--help` lists the options);
`python -m gst bench page FILE.json ...` makes this page of such files, without measuring. The
fields of the files are described in
[src/gst/bench/records.py](../src/gst/bench/records.py). Numbers of one run are held against each
other, never those of two: machines are noisy.

- **Steps** are of SGD with momentum on random images, a batch of every replicate at once; images in
  colour are flipped and cropped. Times are medians over laps, after some steps of warm-up.
- **Gain** is images a second over those of one replicate.
- **Product** is operations a second over those of the matrix product in the same precision.
  Operations are additions and multiplications of convolutions and dense layers; the first layer
  needs no gradient of its inputs. Convolutions can do with fewer than are counted (Winograd), and a
  ceiling comes out too low if the machine is busy, so that shares may pass 100%.
- **Roofline** is the least time that a step could take, for its operations at the product's ceiling
  or for its bytes at that of memory, whichever is longer, over the time that it takes. Bytes are
  counted as if each layer read and wrote every tensor once a pass, so that caches can beat it.
- **Memory** is the peak: what torch held of a GPU, or of the whole process on a CPU.
- **The plain loop** passes images one by one through torchvision's transforms in a DataLoader, at
  its best number of workers, and trains one network eagerly with torch.optim's SGD in float32 (TF32
  on a GPU), with the engine's settings of cuDNN.
- **On a CPU** replicates train one after the other, each with products of its own, since batched
  ones differ in their last bits between one and several threads. On one thread, batching
  LeNet-300-100's products was seen to save 2% with two replicates and nothing with 32; those of the
  digits network, a fifth.
"""

NO_GPU = """\
**No GPU has been measured yet.** Whether there a captured step of one replicate trains ResNet-20 at
5 times and LeNet at 10 times the speed of the plain loop, 8 replicates together at 4 times that of
one, and VGG-11 and ResNet-18 at 30% of the matrix product in bf16, stays open until
`python -m gst bench --device cuda` has run."""

AGREEMENT = """\
Networks trained on scikit-learn's digits from the same seeds in every way that the device offers
(`python -m gst bench agreement`): as a cohort in float32, step by step (eager); captured; each seed
alone; in bf16. Beside each other stand the losses of the first steps, and the final accuracies."""

Row = Sequence[object]


def page(files: Sequence[Path], studies: Sequence[Path], folder: Path) -> None:
    """Write performance.md to a folder, and a figure for every device to figures/ below it.

    Files of one device, with as many threads, stand together.

    Args:
        files: JSON files of the benchmark.
        studies: Configuration files of the studies whose cost is stated.
        folder: Where the page goes.

    Raises:
        ArtifactError: If a file is missing, or not one of the benchmark.
        ConfigError: If anything is wrong with a study.
    """
    devices: dict[tuple[str, int], dict[str, Measurements]] = {}
    for file in files:
        found = read(file)
        place = found.machine.device, found.machine.threads
        devices.setdefault(place, {})[file.stem] = found
    plans = {path: read_study(path) for path in studies}
    parts = [INTRODUCTION]
    machines = [found.machine for runs in devices.values() for found in runs.values()]
    if all(machine.kind == "cpu" for machine in machines):
        parts.append(f"{NO_GPU}\n")
    for runs in devices.values():
        records = list(chain.from_iterable(run.records for run in runs.values()))
        parts += _head([run.machine for run in runs.values()])
        if select(records, Training):
            picture = f"figures/performance-{next(iter(runs))}"
            save(draw(records), folder / picture)
            parts += _speed(records, picture)
            parts += _costs(plans, records)
        if agreements := select(records, Agreement):
            parts += _agreements(agreements)
    with atomic(folder / "performance.md") as temporary:
        temporary.write_text("\n".join(parts))


def _head(machines: Sequence[Machine]) -> Iterator[str]:
    """Yield what a device is, and which runs of the benchmark measured it."""
    threads = machines[0].threads
    yield f"## {machines[0].device}, {threads} thread{'s' * (threads > 1)}\n"
    for machine in machines:
        yield (
            f"- {machine.date}: {machine.cpu}, {machine.cores} cores, {machine.memory_gb} GB; "
            f"torch {machine.torch}; batches of {machine.batch_size}; commit {machine.commit}:\n"
            f"  `{machine.command}`"
        )


def _speed(records: Sequence[Record], picture: str) -> Iterator[str]:
    """Yield how fast a device trains."""
    yield "\n### Ceilings\n"
    for product in select(records, Product):
        yield (
            f"- matrix product, {product.precision}: "
            f"{_number(product.operations_per_second / 1e12)} T operations/s, of {product.size} x "
            f"{product.size}"
        )
    for copy in select(records, Copy):
        yield f"- copy: {_number(copy.bytes_per_second / 1e9)} GB/s, read and written"
    yield "\n### A step of one replicate\n"
    yield _table(
        ("network", "precision", "parameters", "M operations an image", "MB a step"),
        (
            (
                found.network,
                found.precision,
                f"{found.parameters:,}",
                _number(found.training_operations_per_image / 1e6),
                _number(found.bytes_per_step / 1e6),
            )
            for found in select(records, Network)
        ),
    )
    yield "\n### Training\n"
    yield f"![Images a second by the size of the cohort]({picture}.png)\n"
    yield _table(
        (
            *("network", "precision", "mode", "replicates", "steps/s", "images/s"),
            *("gain", "product", "roofline", "memory MB"),
        ),
        map(_cell, [found for found in records if isinstance(found, Training | Failure)]),
    )
    yield "\n### Evaluation, augmentation, and the plain loop\n"
    yield (
        "Of one replicate. Flipping and cropping is timed by itself, eagerly; engine is one "
        "replicate in float32, in its fastest mode.\n"
    )
    yield _table(
        (
            *("network", "evaluated images/s, float32", "bf16", "flip and crop ms a batch"),
            *("share of a step", "plain images/s", "workers", "engine / plain"),
        ),
        (_beside(network, records) for network in _networks(records)),
    )
    starts = select(records, Start)
    if starts:
        yield "\n### Separate processes\n"
        yield from (
            f"- {found.network}: a process that makes one step takes {found.seconds:.1f} s."
            for found in starts
        )
        yield from (
            f"- {found.network}: {found.replicates} trainings of {found.steps} steps take "
            f"{found.cohort_seconds:.1f} s as one cohort and {found.separate_seconds:.1f} s as "
            f"processes, {found.processes} at a time "
            f"({found.separate_seconds / found.cohort_seconds:.1f} times as long); starting is "
            "counted in."
            for found in select(records, Processes)
        )


def _agreements(agreements: Sequence[Agreement]) -> Iterator[str]:
    """Yield how ways to carry out runs compare."""
    yield "\n### The same science\n"
    yield f"{AGREEMENT}\n"
    yield _table(
        (
            *("network", "way", "seeds", "epochs", "first losses within", "test accuracy"),
            "points from eager, 95% interval",
        ),
        map(_agreement, agreements),
    )
    yield ""


def _agreement(found: Agreement) -> Row:
    points = [f"{100 * value:+.2f}" for value in (found.change, found.low, found.high)]
    return (
        *(found.network, found.way, found.seeds, found.epochs, f"{found.difference:.1e}"),
        f"{found.accuracy:.1%}",
        f"{points[0]} [{points[1]}, {points[2]}]",
    )


def _cell(cell: Training | Failure) -> Row:
    place = cell.network, cell.precision, cell.mode, cell.replicates
    if isinstance(cell, Failure):
        return *place, f"{cell.reason}; larger ones not tried", "", "", "", "", ""
    return (
        *place,
        _number(cell.steps_per_second),
        f"{cell.images_per_second:,.0f}",
        "" if cell.gain is None else f"{cell.gain:.2f}",
        f"{cell.share_of_product:.1%}",
        f"{cell.share_of_roofline:.1%}",
        f"{cell.peak_memory_mb:,.0f}",
    )


def _beside(network: str, records: Sequence[Record]) -> Row:
    evaluated = {
        found.precision: f"{found.images_per_second:,.0f}"
        for found in select(records, Evaluation, network=network)
    }
    augmented = ["", ""]
    for found in select(records, Augmentation, network=network):
        share = "" if found.share_of_step is None else f"{found.share_of_step:.1%}"
        augmented = [_number(1e3 * found.augmentation_seconds_per_batch), share]
    plain: Row = ["", "", ""]
    for loop in select(records, Plain, network=network):
        ratio = "" if loop.ratio is None else f"{loop.ratio:.2f}"
        plain = [f"{loop.images_per_second:,.0f}", loop.workers, ratio]
    return network, evaluated.get("float32", ""), evaluated.get("bf16", ""), *augmented, *plain


def _networks(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(found.network for found in select(records, Network)))


def _costs(studies: dict[Path, Study], records: Sequence[Record]) -> Iterator[str]:
    """Yield what studies cost on the device."""
    yield "\n### What the studies cost on it\n"
    yield "Hours of this device, computed from these numbers:\n"
    yield f"{ASSUMPTIONS}\n"
    for path, study in studies.items():
        yield f"`{path}`:\n"
        yield costs_table(cost(study, records))
        yield ""


def costs_table(costs: Sequence[Cost]) -> str:
    """Return what benchmarks cost as a table in Markdown, with sums over each study."""
    rows: list[Row] = []
    for study in dict.fromkeys(found.study for found in costs):
        own = [found for found in costs if found.study == study]
        rows += map(_cost, own)
        priced = [found for found in own if found.hours]
        if len(priced) > 1:
            rows.append(_sum(study, priced))
    return _table(
        (
            *("benchmark", "network", "trainings", "images", "operations", "hours, float32"),
            *("bf16", "plain loop", "plain / float32"),
        ),
        rows,
    )


def _cost(found: Cost) -> Row:
    network = found.network
    if found.measured is None:
        network += " (none near it was measured)"
    elif found.measured != found.network:
        network = f"*{found.network}, as {found.measured}*"
    return found.benchmark, network, *_numbers([found])


def _sum(study: str, costs: Sequence[Cost]) -> Row:
    return f"**{study}, all with hours**", "", *_numbers(costs)


def _numbers(costs: Sequence[Cost]) -> Row:
    hours = {
        precision: sum(found.hours[precision] for found in costs)
        for precision in ("float32", "bf16")
        if all(precision in found.hours for found in costs)
    }
    plain: list[str] = ["", ""]
    if all(found.plain_hours is not None for found in costs):
        total = sum(found.plain_hours or 0 for found in costs)
        plain = [_hours(total), f"{total / hours['float32']:.1f}"]
    return (
        f"{sum(found.trainings for found in costs):,}",
        _power(sum(found.images for found in costs)),
        _power(sum(found.operations for found in costs)),
        *(_hours(hours[name]) if name in hours else "" for name in ("float32", "bf16")),
        *plain,
    )


def _hours(hours: float) -> str:
    return _number(hours) if hours < 100 else f"{hours:,.0f}"


def _number(value: float) -> str:
    """Write a number with three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def _power(value: float) -> str:
    """Write a large number as 1.2e18."""
    return f"{value:.1e}".replace("e+", "e")


def _table(header: Row, rows: Iterable[Row]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
