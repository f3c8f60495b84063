"""The device that is measured, and what it is called."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

import torch

from gst import provenance
from gst.bench import memory
from gst.bench.records import Machine
from gst.training import hardware


def prepare(kind: str, threads: int) -> torch.device:
    """Return the device to measure on, set up as for a job of the workflow.

    Raises:
        RuntimeError: If it is to be a GPU and there is none, or other jobs have them all.
    """
    torch.set_num_threads(threads)
    return hardware.device(gpus=int(kind == "cuda"))


def describe(device: torch.device, arguments: Sequence[str], batch_size: int) -> Machine:
    """Describe a device and the run that measures it.

    Args:
        device: What computes.
        arguments: The words after `python -m gst`.
        batch_size: Images a step and replicate.
    """
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    found = provenance.environment(gpu)
    versions, machine = found["versions"], found["hardware"]
    commit = versions["commit"]
    return Machine(
        device=gpu or machine["cpu"],
        kind="cuda" if gpu else "cpu",
        cpu=machine["cpu"],
        cores=machine["cores"],
        memory_gb=machine["memory_gb"],
        threads=torch.get_num_threads(),
        torch=versions["torch"],
        commit=commit and commit[:12] + ("-dirty" if versions["dirty"] else ""),
        date=datetime.now(UTC).date().isoformat(),
        command=f"python -m gst {shlex.join(arguments)}",
        batch_size=batch_size,
    )


def reset_peak(device: torch.device) -> None:
    """Free what nothing uses any more, and let the peak memory be that from now on."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        memory.reset_peak()


def peak_mb(device: torch.device) -> float:
    """Return the peak memory in MB: what torch held of a GPU, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    return memory.peak_mb()
