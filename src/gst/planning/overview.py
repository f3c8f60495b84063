"""The plan of a study as a page of text: stage by stage, what is done and what is to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from gst.planning.costs import CORE, GPU, Cost
from gst.planning.jobs import Job, longest_chain

HEADER = ("stage", "jobs", "done", "GPU h", "core h", "disk", "longest chain", "times")
Priced = tuple[Job, Cost]


def overview(jobs: Sequence[Job], costs: Sequence[Cost]) -> str:
    """Return the page.

    Hours are those of the jobs that are yet to run, times the GPUs, or the cores where there are
    none, that each holds. Disk is what all jobs leave in the end. A chain is of jobs that wait
    for each other, however many run at a time. Jobs without outputs only name others, and do not
    count.

    Args:
        jobs: All jobs, each after those that it reads from.
        costs: What each takes.
    """
    real = [(job, cost) for job, cost in zip(jobs, costs, strict=True) if job.outputs]
    seconds = [cost.seconds for cost in costs]
    stages = {job.rule: [pair for pair in real if pair[0].rule == job.rule] for job, _ in real}
    rows = [_row(name, own, longest_chain(jobs, seconds, {name})) for name, own in stages.items()]
    total = _row("all", real, longest_chain(jobs, seconds, set(stages)))
    return "\n".join([*_aligned([HEADER, *rows, total]), "", *_remarks(real)])


def _row(name: str, priced: Sequence[Priced], chain: tuple[int, float]) -> tuple[str, ...]:
    length, seconds = chain
    waiting = [pair for pair in priced if pair[0].waiting]
    sources = dict.fromkeys(cost.source for _, cost in waiting)
    return (
        name,
        str(len(priced)),
        str(len(priced) - len(waiting)),
        *(_hours(used) if used else "" for used in _device_seconds(waiting)),
        size(sum(cost.kept for _, cost in priced)),
        f"{length} in {duration(seconds)}" if length else "",
        ", ".join(sources),
    )


def _device_seconds(priced: Sequence[Priced]) -> list[float]:
    """Return the seconds that jobs hold GPUs, and those that the others hold cores."""
    return [
        sum(job.devices * cost.seconds for job, cost in priced if bool(job.gpus) == gpu)
        for gpu in (True, False)
    ]


def _remarks(priced: Sequence[Priced]) -> Iterator[str]:
    done = [pair for pair in priced if not pair[0].waiting]
    spent, left = (
        _devices([pair for pair in priced if pair[0].waiting == waiting])
        for waiting in (False, True)
    )
    yield f"{len(done)} of {len(priced)} jobs are finished; they took {spent}, {left} are to go."
    kept, there = (sum(cost.kept for _, cost in some) for some in (priced, done))
    removed = sum(cost.temporary for job, cost in priced if job.waiting)
    text = f"Results will take {size(kept)}, of which {size(there)} are there."
    if removed:
        text += f" Weights of {size(removed)} are removed on the way (keep_weights)."
    yield text
    sources = Counter(cost.source for job, cost in priced if job.waiting)
    if sources["measured"]:
        yield "measured: as similar jobs took that are finished."
    if sources["counted"]:
        yield (
            f"counted: operations, at {CORE.rate / 1e9:.0f} billion a second on a core and "
            f"{GPU.rate / 1e9:,.0f} billion on a GPU; finished jobs of a benchmark tell better."
        )
    if sources["unknown"]:
        yield "unknown: the dataset must be prepared first; such jobs count as no time."


def _devices(priced: Sequence[Priced]) -> str:
    on_gpus, on_cores = _device_seconds(priced)
    parts = [f"{_hours(on_gpus)} GPU-hours"] if on_gpus else []
    return " and ".join([*parts, f"{_hours(on_cores)} core-hours"])


def duration(seconds: float) -> str:
    """Write a time in the unit that fits it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{1 if seconds < 20 * length else 0}f} {unit}"
    return f"{seconds:.0f} s"


def size(bytes_: float) -> str:
    """Write a number of bytes in the unit that fits it."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if bytes_ >= length:
            return f"{bytes_ / length:.{1 if bytes_ < 10 * length else 0}f} {unit}"
    return f"{bytes_ / 1e3:.0f} kB"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    if 0 < hours < 0.05:
        return "<0.1"
    return f"{hours:,.0f}" if hours >= 10 or not hours else f"{hours:.1f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Set out rows in columns; numbers stand to the right, the first and last two to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = (0, len(widths) - 2, len(widths) - 1)
    return [
        "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
