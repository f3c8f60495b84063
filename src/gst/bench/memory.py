"""Peak memory of this process."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path


def reset_peak() -> None:
    """Let the peak be that from now on; getrusage's is of the process's whole life."""
    ctypes.CDLL(None).malloc_trim(0)  # What was freed goes back to the system.
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the peak memory of this process alone in MB; getrusage's includes its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
