"""What a job uses: time, memory and energy, summed over the pieces in which it ran."""

from __future__ import annotations

import ctypes
import math
import resource
import time
from datetime import UTC, datetime
from typing import Any

import torch

from gst import provenance
from gst.training.hardware import visible_gpus
from gst.training.processes import ALONE, Processes


class Usage:
    """Meters a job, from when it is made.

    A job that goes on from a checkpoint takes over what was used up to there. What a killed
    process did after its last checkpoint is in no sum.

    Args:
        device: What the job computes on.
        processes: Those that work on it together; time is that of the first, peak memory the
            largest of one process, energy the sum.
    """

    def __init__(self, device: str | torch.device = "cpu", processes: Processes = ALONE) -> None:
        self.device, self.processes = torch.device(device), processes
        self._clock, self._joules = time.perf_counter(), gpu_joules(self.device)
        self._before: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "peak_memory_mb": 0,
            "energy_joules": 0.0,
            "pieces": 0,
        }

    def go_on_from(self, before: dict[str, Any]) -> None:
        """Take over what `so_far` returned in a process that ended."""
        if before["seconds"] >= self._before["seconds"]:
            self._before = before

    def seconds(self) -> float:
        """Return the time since the process began to be metered."""
        return time.perf_counter() - self._clock

    def so_far(self) -> dict[str, Any]:
        """Return what the job has used; all its processes call this together.

        Returns:
            started, when the first piece did; seconds; peak_memory_mb, of the GPU's memory if it
            computes on one, else of the process's; energy_joules, of the whole GPU, as the driver
            counts it, None on a CPU, whose counter does not tell jobs apart, and where the driver
            does not tell; pieces, how many processes one after the other it took.
        """
        before = self._before
        (peak,) = self.processes.largest(round(_peak_memory_mb(self.device)))
        joules = self.processes.total(gpu_joules(self.device) - self._joules)
        joules += math.nan if before["energy_joules"] is None else before["energy_joules"]
        return {
            "started": before["started"],
            "seconds": round(before["seconds"] + self.seconds(), 3),
            "peak_memory_mb": max(before["peak_memory_mb"], peak),
            "energy_joules": round(joules, 3) if joules >= 0 else None,
            "pieces": before["pieces"] + 1,
        }

    def record(self) -> dict[str, Any]:
        """Return what a result's file says about how it was made."""
        gpu = self.device.type == "cuda"
        return {
            **self.so_far(),
            "threads": torch.get_num_threads(),
            "processes": self.processes.size,
            "device": str(self.device),
            **provenance.environment(torch.cuda.get_device_name(self.device) if gpu else None),
        }


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gpu_joules(device: torch.device) -> float:
    """Return the energy that a GPU has taken since its driver was loaded; NaN if that is unknown.

    NVIDIA's management library, which comes with the driver, counts it from Volta on.
    """
    if device.type != "cuda":
        return math.nan
    name = visible_gpus()[torch.cuda.current_device()]
    gpu, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        failed = (
            nvml.nvmlInit_v2()
            or nvml.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(gpu))
            or nvml.nvmlDeviceGetTotalEnergyConsumption(gpu, ctypes.byref(millijoules))
        )
    except (OSError, AttributeError):  # No such library, or an old one without the counter.
        return math.nan
    return math.nan if failed else millijoules.value / 1000
