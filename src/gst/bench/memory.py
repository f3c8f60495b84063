"""Peak memory of this process: on Linux since it was last reset, on macOS of its whole life."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from pathlib import Path

LINUX = sys.platform == "linux"


def reset_peak() -> None:
    """Let the peak be that from now on."""
    if LINUX:
        ctypes.CDLL(None).malloc_trim(0)  # What was freed goes back to the system.
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the peak memory of this process alone in MB; getrusage's includes its parent's."""
    if LINUX:
        status = Path("/proc/self/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
