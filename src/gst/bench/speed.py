"""Measures how fast a machine trains; every number is printed as it comes, and kept in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gst.bench import ceilings, cohorts, plain, processes
from gst.bench.clock import TooSlow
from gst.bench.counts import count
from gst.bench.lines import line, title
from gst.bench.machine import describe, peak_mb, reset_peak
from gst.bench.records import (
    Augmentation,
    Copy,
    Evaluation,
    Failure,
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
        seconds: Time for each cell of the table and for each ceiling; the other measurements take
            a quarter of it.
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


class Session:
    """One measurement of a device.

    Args:
        device: What computes, prepared.
        plan: What to measure.
    """

    def __init__(self, device: torch.device, plan: Plan) -> None:
        self._device, self._plan = device, plan
        self._brief = plan.seconds / 4

    def measure(self) -> Iterator[Record]:
        """Yield one record after the other, as they are measured."""
        ceiling = {
            precision: ceilings.product(precision, self._device, self._plan.seconds)
            for precision in self._plan.precisions
        }
        yield from ceiling.values()
        copy = ceilings.copy(self._device, self._plan.seconds)
        yield copy
        for network in self._plan.networks:
            dataset = cohorts.synthetic(cohorts.shape_of(network))
            best: dict[int, Training] = {}
            for precision, product in ceiling.items():
                counts = count(network, precision, dataset.shape)
                yield counts
                for mode in self._plan.modes:
                    for cell in self.cells(counts, mode, dataset, product, copy):
                        yield cell
                        if isinstance(cell, Training) and precision == "float32":
                            best[cell.replicates] = _faster(cell, best.get(cell.replicates))
                yield self._evaluation(network, precision, dataset)
            yield from self._beside(network, dataset, best)

    def cells(
        self, counts: Network, mode: Mode, dataset: Dataset, product: Product, copy: Copy
    ) -> Iterator[Training | Failure]:
        """Yield the speed of each size of cohort, up to the first that does not fit.

        Args:
            counts: The network, the precision, and what a step computes and moves.
            mode: How steps are made.
            dataset: What to train on.
            product: The ceiling of operations in this precision.
            copy: The ceiling of memory.
        """
        operations = cohorts.BATCH * counts.training_operations_per_image
        computing = operations / product.operations_per_second
        moving = counts.bytes_per_step / copy.bytes_per_second
        single: float | None = None
        for replicates in self._plan.replicates:
            cell: dict[str, Any] = {
                "network": counts.network,
                "precision": counts.precision,
                "mode": mode,
                "replicates": replicates,
            }
            reset_peak(self._device)
            try:
                seconds = cohorts.seconds_per_step(
                    counts.network,
                    replicates,
                    dataset,
                    self._device,
                    self._plan.seconds,
                    longest=self._plan.longest,
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
                peak_memory_mb=peak_mb(self._device),
            )

    def _evaluation(self, network: str, precision: Precision, dataset: Dataset) -> Evaluation:
        rate = cohorts.evaluated_per_second(
            network, dataset, self._device, self._brief, precision=precision
        )
        return Evaluation(network=network, precision=precision, images_per_second=rate)

    def _beside(
        self, network: str, dataset: Dataset, best: Mapping[int, Training]
    ) -> Iterator[Record]:
        """Yield what is held against the fastest float32 cells, by number of replicates."""
        single = best.get(1)
        if cohorts.augmentation(dataset.shape) == "flip-crop":
            yield self._augmentation(network, dataset, single)
        yield self._plain(network, dataset, single)
        if network not in self._plan.separate:
            return
        seconds = processes.seconds(network, 1, 1, self._device, threads=self._plan.threads)
        yield Start(network=network, seconds=seconds)
        together = [number for number in best if 1 < number <= TOGETHER]
        if together:
            yield self._processes(best[max(together)])

    def _augmentation(
        self, network: str, dataset: Dataset, single: Training | None
    ) -> Augmentation:
        gather, augmented = (
            cohorts.seconds_per_batch(dataset, augment, self._device, self._brief)
            for augment in ("none", "flip-crop")
        )
        return Augmentation(
            network=network,
            gather_seconds_per_batch=gather,
            augmentation_seconds_per_batch=augmented - gather,
            share_of_step=(augmented - gather) * single.steps_per_second if single else None,
        )

    def _plain(self, network: str, dataset: Dataset, single: Training | None) -> Plain:
        cores = len(os.sched_getaffinity(0))
        workers, taken = plain.best(network, dataset, self._device, self._brief, cores=cores)
        return Plain(
            network=network,
            workers=workers,
            steps_per_second=1 / taken,
            images_per_second=cohorts.BATCH / taken,
            ratio=taken * single.steps_per_second if single else None,
        )

    def _processes(self, cell: Training) -> Processes:
        """Return how long a cohort takes beside separate processes, all at once on a GPU."""
        threads = self._plan.threads
        steps = max(1, round(self._plan.seconds * cell.steps_per_second))
        at_once = cell.replicates if self._device.type == "cuda" else min(threads, cell.replicates)
        work = partial(processes.seconds, cell.network, mode=cell.mode)
        return Processes(
            network=cell.network,
            replicates=cell.replicates,
            steps=steps,
            processes=at_once,
            cohort_seconds=work(cell.replicates, steps, self._device, threads=threads),
            separate_seconds=work(1, steps, self._device, runs=cell.replicates, at_once=at_once),
        )


def bench(device: torch.device, plan: Plan, arguments: Sequence[str], out: Path | None) -> None:
    """Measure, print, and keep what was measured so far in a file.

    Args:
        device: What computes, prepared.
        plan: What to measure.
        arguments: The words after `python -m gst`.
        out: The JSON file; none is written if None.
    """
    machine = describe(device, arguments, cohorts.BATCH)
    print(title(machine), end="\n\n")
    records: list[Record] = []
    for record in Session(device, plan).measure():
        print(line(record), flush=True)
        records.append(record)
        if out:
            write(out, Measurements(machine=machine, records=tuple(records)))


def _is_full(error: Exception) -> bool:
    """Whether memory ran out: torch's, also while a graph was captured, or a library's."""
    chain = (error, error.__context__)
    return any(isinstance(e, torch.OutOfMemoryError) for e in chain) or "ALLOC_FAILED" in str(error)


def _faster(cell: Training, other: Training | None) -> Training:
    return cell if not other or cell.steps_per_second > other.steps_per_second else other
