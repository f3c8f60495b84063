"""What scripts share: a job's log, and what the profile gives the job."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A conda environment holds what gst needs, but not gst itself.
sys.path.append(str(Path(__file__).parents[2] / "src"))


@contextmanager
def logged(log: str, threads: int | None = None) -> Iterator[None]:
    """Send everything that a job prints, its traceback included, to its log file.

    Args:
        log: Path of the log file.
        threads: Threads that torch may use; None for jobs that do not import it.

    Raises:
        SystemExit: With status 1, when the job fails; the log says why.
    """
    if "GST_LAUNCHED" not in os.environ:  # A launched process has the streams of its launcher.
        with open(log, "w") as file:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                os.dup2(file.fileno(), stream.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        if threads is not None:
            _limit_torch(threads)
        yield
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def gpus(resources: Mapping[str, Any]) -> int:
    """Return how many GPUs a job was given: by `gpu`, or by `gres`, as gpu:1 or gpu:a100:2."""
    kind, *more = str(resources.get("gres", "")).split(":")
    if kind != "gpu":
        return int(resources.get("gpu", 0))
    return int(more[-1]) if more and more[-1].isdigit() else 1


def scratch(resources: Mapping[str, Any], default: str) -> Path:
    """Return the folder of checkpoints: the resource `scratch`, or else a default.

    Snakemake has replaced the environment variables in it, on the machine of the job.

    Raises:
        ValueError: If one of them is not set there.
    """
    folder = str(resources.get("scratch", default))
    if "$" in folder:
        raise ValueError(
            f"scratch: {folder} names a variable that is not set on {os.uname().nodename}"
        )
    return Path(folder)


def _limit_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
