"""What every script does first: write to its job's log, keep to its job's threads."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def _limit_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
