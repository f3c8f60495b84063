"""Which process has which GPU: real processes, pretended GPUs."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from gst.training import lease

GPUS = ["GPU-a", "GPU-b", "MIG-GPU-c/1/0"]
HOLDER = """
import os, signal, sys, time
from pathlib import Path
from gst.training import lease

folder, gpus, seconds, end, patience = sys.argv[1:]
lease.FOLDER, lease.PATIENCE = Path(folder), float(patience)
position = lease.take(gpus.split(","))
start = time.monotonic()
if not os.fork():  # A worker, which lives on with what it inherited when its parent is killed.
    os.closerange(1, 3)
    time.sleep(2)
    os._exit(0)
print(os.getpid(), flush=True)
time.sleep(float(seconds))
print(position, start, time.monotonic(), flush=True)
if end == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
os._exit(0)
"""


def hold(
    folder: Path, gpus: list[str], seconds: float, end: str = "ended", patience: float = 60
) -> subprocess.Popen[str]:
    """Start a process that takes a GPU, has it for a while, and ends or is killed."""
    given = [str(folder), ",".join(gpus), str(seconds), end, str(patience)]
    command = [sys.executable, "-c", HOLDER, *given]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_no_two_processes_have_one_gpu_and_killed_ones_give_it_back(tmp_path: Path) -> None:
    draw = random.Random(0)
    racers = [
        hold(tmp_path, GPUS, draw.uniform(0.02, 0.2), ("ended", "killed")[n % 2]) for n in range(20)
    ]
    held: dict[int, list[tuple[float, float]]] = {0: [], 1: [], 2: []}
    for racer in racers:
        told, error = racer.communicate(timeout=100)
        assert racer.returncode in (0, -signal.SIGKILL), error
        position, start, end = told.split("\n")[1].split()
        held[int(position)].append((float(start), float(end)))
    assert Counter(r.returncode for r in racers) == {0: 10, -signal.SIGKILL: 10}
    for spans in held.values():
        assert spans
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))

    for gpu in GPUS:
        free = hold(tmp_path, [gpu], 0, patience=0)
        _, error = free.communicate()
        assert free.returncode == 0, error


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lease, "FOLDER", tmp_path / "new/folder")
    monkeypatch.setattr(lease, "PATIENCE", 0.3)
    return lease.FOLDER


@contextmanager
def held(folder: Path, gpus: list[str]) -> Iterator[int]:
    """Let another process have a GPU meanwhile; give its id."""
    process = hold(folder, gpus, 100)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def test_a_taken_gpu_is_passed_over_and_then_named(folder: Path) -> None:
    with held(folder, ["GPU-a"]) as other:
        assert lease.take(["GPU-a", "GPU-b"]) == 1
        with pytest.raises(RuntimeError, match=rf"GPU-a \(process {other}\)\. End what is"):
            lease.take(["GPU-a"])
    assert lease.take(["GPU-a"]) == 0


def test_what_counts_is_the_gpu_and_not_its_number(folder: Path) -> None:
    """Two jobs on a node of a cluster may each see their own GPU as number 0."""
    with held(folder, ["GPU-a"]):
        assert lease.take(["GPU-b"]) == 0
