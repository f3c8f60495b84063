"""Measures how fast a machine trains; every number is printed as it comes, and kept in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gst.bench import ceilings, cohorts, plain, processes
from gst.bench.clock import TooSlow
from gst.bench.counts import count
from gst.bench.machine import describe, peak_mb, reset_peak
from gst.bench.records import (
    Augmentation,
    Copy,
    Evaluation,
    Failure,
    Machine,
    Measurements,
    Mode,
    Network,
    Plain,
    Precision,
    Processes,
    Product,
    Record,
    Start,
    Training,
    write,
)
from gst.data.loaded import Dataset

TOGETHER = 8
"""Replicates, at most, of the cohort that is held against separate processes."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        networks: Names of models.
        replicates: Sizes of cohorts, rising.
        precisions: Of the arithmetic.
        modes: Ways to make a step.
        separate: Networks whose cohorts are held against separate processes.
        seconds: Time for each cell of the table; the other measurements take a quarter of it.
        longest: Seconds that a step may take; cohorts that take longer are left out.
        threads: Threads of torch.
    """

    networks: Sequence[str]
    replicates: Sequence[int]
    precisions: Sequence[Precision]
    modes: Sequence[Mode]
    separate: Sequence[str]
    seconds: float
    longest: float
    threads: int


def bench(device: torch.device, plan: Plan, arguments: Sequence[str], out: Path | None) -> None:
    """Measure, print, and keep what was measured so far in a file.

    Args:
        device: What computes, prepared.
        plan: What to measure.
        arguments: The words after `python -m gst`.
        out: The JSON file; none is written if None.
    """
    machine = describe(device, arguments, cohorts.BATCH)
    print(_title(machine), end="\n\n")
    records: list[Record] = []
    for record in measure(device, plan):
        print(_line(record), flush=True)
        records.append(record)
        if out:
            write(out, Measurements(machine=machine, records=tuple(records)))


def measure(device: torch.device, plan: Plan) -> Iterator[Record]:
    """Yield one record after the other, as they are measured."""
    brief = plan.seconds / 4
    ceiling = {
        precision: ceilings.product(precision, device, brief) for precision in plan.precisions
    }
    yield from ceiling.values()
    copy = ceilings.copy(device, brief)
    yield copy
    for network in plan.networks:
        dataset = cohorts.synthetic(cohorts.shape_of(network))
        best: dict[int, Training] = {}
        for precision in plan.precisions:
            counts = count(network, precision, dataset.shape)
            yield counts
            for mode in plan.modes:
                cells = _cells(counts, mode, dataset, device, plan, ceiling[precision], copy)
                for cell in cells:
                    yield cell
                    if isinstance(cell, Training) and precision == "float32":
                        best[cell.replicates] = _faster(cell, best.get(cell.replicates))
            rate = cohorts.evaluated_per_second(
                network, dataset, device, brief, precision=precision
            )
            yield Evaluation(network=network, precision=precision, images_per_second=rate)
        if cohorts.augmentation(dataset.shape) == "flip-crop":
            yield _augmentation(network, dataset, device, brief, best.get(1))
        yield _plain(network, dataset, device, brief, best.get(1))
        if network in plan.separate:
            seconds = processes.seconds(network, 1, 1, device, threads=plan.threads)
            yield Start(network=network, seconds=seconds)
            together = [number for number in best if 1 < number <= TOGETHER]
            if together:
                yield _processes(best[max(together)], device, plan)


def _cells(
    counts: Network,
    mode: Mode,
    dataset: Dataset,
    device: torch.device,
    plan: Plan,
    product: Product,
    copy: Copy,
) -> Iterator[Training | Failure]:
    """Yield the speed of each size of cohort, up to the first that does not fit."""
    operations = cohorts.BATCH * counts.training_operations_per_image
    computing = operations / product.operations_per_second
    moving = counts.bytes_per_step / copy.bytes_per_second
    single: float | None = None
    for replicates in plan.replicates:
        cell: dict[str, Any] = {
            "network": counts.network,
            "precision": counts.precision,
            "mode": mode,
            "replicates": replicates,
        }
        reset_peak(device)
        try:
            seconds = cohorts.seconds_per_step(
                counts.network,
                replicates,
                dataset,
                device,
                plan.seconds,
                longest=plan.longest,
                precision=counts.precision,
                mode=mode,
            )
        except TooSlow as error:
            yield Failure(**cell, reason=str(error))
            return
        except RuntimeError as error:
            if not _is_full(error):
                raise
            yield Failure(**cell, reason="out of memory")
            return
        images = replicates * cohorts.BATCH / seconds
        single = images if replicates == 1 else single
        yield Training(
            **cell,
            steps_per_second=1 / seconds,
            images_per_second=images,
            gain=images / single if single else None,
            share_of_product=replicates * computing / seconds,
            share_of_roofline=replicates * max(computing, moving) / seconds,
            peak_memory_mb=peak_mb(device),
        )


def _is_full(error: Exception) -> bool:
    """Whether memory ran out: torch's, also while a graph was captured, or a library's."""
    chain = (error, error.__context__)
    return any(isinstance(e, torch.OutOfMemoryError) for e in chain) or "ALLOC_FAILED" in str(error)


def _faster(cell: Training, other: Training | None) -> Training:
    return cell if not other or cell.steps_per_second > other.steps_per_second else other


def _augmentation(
    network: str, dataset: Dataset, device: torch.device, seconds: float, single: Training | None
) -> Augmentation:
    gather, augmented = (
        cohorts.seconds_per_batch(dataset, augment, device, seconds)
        for augment in ("none", "flip-crop")
    )
    return Augmentation(
        network=network,
        gather_seconds_per_batch=gather,
        augmentation_seconds_per_batch=augmented - gather,
        share_of_step=(augmented - gather) * single.steps_per_second if single else None,
    )


def _plain(
    network: str, dataset: Dataset, device: torch.device, seconds: float, single: Training | None
) -> Plain:
    cores = len(os.sched_getaffinity(0))
    workers, taken = plain.best(network, dataset, device, seconds, cores=cores)
    return Plain(
        network=network,
        workers=workers,
        steps_per_second=1 / taken,
        images_per_second=cohorts.BATCH / taken,
        ratio=taken * single.steps_per_second if single else None,
    )


def _processes(cell: Training, device: torch.device, plan: Plan) -> Processes:
    steps = max(1, round(plan.seconds * cell.steps_per_second))
    at_once = cell.replicates if device.type == "cuda" else min(plan.threads, cell.replicates)
    together = processes.seconds(
        cell.network, cell.replicates, steps, device, mode=cell.mode, threads=plan.threads
    )
    separate = processes.seconds(
        cell.network, 1, steps, device, mode=cell.mode, runs=cell.replicates, at_once=at_once
    )
    return Processes(
        network=cell.network,
        replicates=cell.replicates,
        steps=steps,
        processes=at_once,
        cohort_seconds=together,
        separate_seconds=separate,
    )


def _title(machine: Machine) -> str:
    return (
        f"{machine.device}, {machine.threads} threads, torch {machine.torch}, batch "
        f"{machine.batch_size}, {machine.date}"
    )


def _line(record: Record) -> str:
    """Return a record as a line of text."""
    match record:
        case Product(precision=precision, size=size, operations_per_second=rate):
            return f"matrix product {precision:8} {rate / 1e12:9.3f} T operations/s (size {size})"
        case Copy(bytes_per_second=rate):
            return f"copy                    {rate / 1e9:9.1f} GB/s"
        case Network():
            return (
                f"\n{record.network}, {record.precision}: "
                f"{record.training_operations_per_image / 1e6:.3g} M operations an image trained, "
                f"{record.bytes_per_step / 1e6:.3g} MB a step\n"
                f"{'mode':8} {'replicates':>10} {'steps/s':>9} {'images/s':>9} {'gain':>6} "
                f"{'product':>8} {'roofline':>8} {'MB':>7}"
            )
        case Training():
            gain = "" if record.gain is None else f"{record.gain:.2f}"
            return (
                f"{record.mode:8} {record.replicates:10} {record.steps_per_second:9.4g} "
                f"{record.images_per_second:9.0f} {gain:>6} {record.share_of_product:8.1%} "
                f"{record.share_of_roofline:8.1%} {record.peak_memory_mb:7.0f}"
            )
        case Failure():
            return f"{record.mode:8} {record.replicates:10} {record.reason}"
        case Evaluation(images_per_second=rate):
            return f"evaluation: {rate:.0f} images/s"
        case Augmentation():
            share = record.share_of_step
            return (
                f"batch gathered in {1e3 * record.gather_seconds_per_batch:.2f} ms, flip and crop "
                f"{1e3 * record.augmentation_seconds_per_batch:.2f} ms"
                + ("" if share is None else f", {share:.1%} of a step of one replicate")
            )
        case Plain():
            ratio = "" if record.ratio is None else f"; one replicate here: {record.ratio:.2f} x"
            return (
                f"plain loop: {record.images_per_second:.0f} images/s with {record.workers} "
                f"workers{ratio}"
            )
        case Processes():
            return (
                f"{record.replicates} replicates, {record.steps} steps: one cohort "
                f"{record.cohort_seconds:.1f} s, processes, {record.processes} at a time, "
                f"{record.separate_seconds:.1f} s"
            )
        case Start(seconds=seconds):
            return f"start to first step and end of a process: {seconds:.1f} s"
