"""A cohort beside the same runs in processes of their own, start-up included."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from gst.bench.clock import synchronise
from gst.bench.cohorts import Enough, run, shape_of, synthetic
from gst.bench.records import Mode
from gst.training.hardware import use_fast_kernels
from gst.training.loop import TrainingState


def seconds(
    network: str,
    replicates: int,
    steps: int,
    device: torch.device,
    *,
    mode: Mode = "eager",
    runs: int = 1,
    at_once: int = 1,
    threads: int = 1,
) -> float:
    """Return how long some runs take, each in a new process, from the first start to the last end.

    Args:
        network: What each trains.
        replicates: How many of it, as one cohort.
        steps: Training steps of each.
        device: What they compute on.
        mode: How they do.
        runs: How many runs there are.
        at_once: Processes that run at a time.
        threads: Threads of each.

    Raises:
        RuntimeError: If a process fails; what it printed says why.
    """
    gpu = None
    if device.type == "cuda":
        gpu = torch.cuda.current_device()
        torch.cuda.empty_cache()
    job = (network, replicates, steps, mode, gpu, threads)
    context = multiprocessing.get_context("spawn")

    def train_apart(number: int) -> None:
        process = context.Process(target=_train, args=job)
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"training {network} in a process of its own failed")

    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(train_apart, range(runs)))
    return time.perf_counter() - started


def _train(
    network: str, replicates: int, steps: int, mode: Mode, gpu: int | None, threads: int
) -> None:
    torch.set_num_threads(threads)
    device = torch.device("cpu")
    if gpu is not None:
        device = torch.device("cuda")
        torch.cuda.set_device(gpu)
        use_fast_kernels()
    left = itertools.count(steps - 1, -1)

    def pause(state: TrainingState) -> None:
        if state.step and not next(left):
            raise Enough

    run(network, replicates, synthetic(shape_of(network)), device, pause, mode=mode)
    synchronise(device)
