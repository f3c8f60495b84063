"""Which process computes on which GPU of a machine.

A process that takes a GPU locks a file named after it. The lock is the process's own, so that the
kernel takes it back when the process ends, however it ends, and no child inherits it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(f"/tmp/gst-{os.getuid()}/gpus")
"""Where the files are: on the machine itself, which all jobs of a user on it share."""
PATIENCE = 30.0
"""Seconds to wait for a GPU. As many jobs start as there are GPUs, but one may still be ending."""


def take(gpus: Sequence[str]) -> int:
    """Take a GPU that no other process has, until this process ends.

    Args:
        gpus: Names that no two GPUs of the machine share, such as their UUIDs.

    Returns:
        The position of the GPU that was taken.

    Raises:
        RuntimeError: If other processes have them all, and none ends in time.
    """
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + PATIENCE
    while True:
        for position, gpu in enumerate(gpus):
            if _lock(_file(gpu)):
                return position
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    holders = ", ".join(f"{gpu} (process {_file(gpu).read_text()})" for gpu in gpus)
    raise RuntimeError(
        f"other jobs have all GPUs that this one sees: {holders}. End what is left of an earlier "
        "workflow, or let fewer jobs run at a time: `resources: { gpu: ... }` of the profile"
    )


def _file(gpu: str) -> Path:
    return FOLDER / gpu.replace("/", "-")


def _lock(file: Path) -> bool:
    """Lock a file for as long as this process lives, and write its number there, unless locked."""
    opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(opened)
        return False
    os.ftruncate(opened, 0)
    os.write(opened, str(os.getpid()).encode())
    return True
