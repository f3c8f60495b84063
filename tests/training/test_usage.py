"""What a job used, by pretended clocks and counters."""

from __future__ import annotations

import ctypes
import math
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from gst.artifacts import read_json
from gst.data.loaded import Dataset, LabelDraw
from gst.recipe import Recipe
from gst.training import usage
from gst.training.checkpoint import Checkpoint, Interrupted
from gst.training.loop import TrainingState
from gst.training.run import Job, run
from gst.training.usage import Usage, gpu_joules


@dataclass
class Counters:
    """What a machine's counters show."""

    seconds: float = 1000.0
    joules: float = 5e6
    memory: float = 100.0


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Counters:
    shown = Counters()
    monkeypatch.setattr(usage.time, "perf_counter", lambda: shown.seconds)
    monkeypatch.setattr(usage, "gpu_joules", lambda device: shown.joules)
    monkeypatch.setattr(usage, "_peak_memory_mb", lambda device: shown.memory)
    return shown


def test_what_is_used_between(counters: Counters) -> None:
    used = Usage()
    counters.seconds, counters.joules, counters.memory = 1007.5, 5e6 + 320.25, 140.4
    found = used.so_far()
    assert found.pop("started")
    assert found == {
        "seconds": 7.5, "energy_joules": 320.25, "peak_memory_mb": 140, "pieces": 1
    }  # fmt: skip


def test_pieces_add_up(counters: Counters) -> None:
    first = Usage()
    counters.seconds, counters.joules, counters.memory = 1010.0, 5e6 + 100, 300.0
    before = first.so_far() | {"started": "2026-01-01T00:00:00+00:00"}
    counters.joules, counters.memory = 40.0, 200.0  # Another GPU, or its driver was loaded again.
    second = Usage()
    second.go_on_from(before)
    counters.seconds, counters.joules = 1013.0, 47.0
    assert second.so_far() == before | {
        "seconds": 13.0, "energy_joules": 107.0, "peak_memory_mb": 300, "pieces": 2
    }  # fmt: skip
    second.go_on_from(before | {"seconds": 1.0})  # One of several files that was written earlier.
    assert second.so_far()["seconds"] == 13.0


@pytest.mark.parametrize("piece", [1, 2])
def test_energy_is_known_if_that_of_every_piece_is(piece: int, counters: Counters) -> None:
    counters.joules = math.nan if piece == 1 else 10.0
    before = Usage().so_far()
    counters.joules = math.nan if piece == 2 else 10.0
    last = Usage()
    last.go_on_from(before)
    assert last.so_far()["energy_joules"] is None


def test_a_counter_that_began_anew_tells_nothing(counters: Counters) -> None:
    used = Usage()
    counters.joules = 3.0
    assert used.so_far()["energy_joules"] is None


def test_a_resumed_run_records_the_sum(
    counters: Counters,
    recipe: Callable[..., Recipe],
    job: Callable[..., Job],
    dataset: Dataset,
    labels: LabelDraw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of 3 steps and 1 event an epoch takes a second and 50 joules."""
    pause, calls = Checkpoint.pause, []

    def metered(self: Checkpoint, state: TrainingState) -> None:
        counters.seconds += 1
        counters.joules += 50
        calls.append(state.step)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        pause(self, state)

    monkeypatch.setattr(Checkpoint, "pause", metered)
    made = job(recipe(), "run")
    with pytest.raises(Interrupted):
        run(made, dataset, labels)
    counters.seconds += 500  # It waits in the queue while others use the GPU.
    counters.joules += 7000
    run(made, dataset, labels)
    record = read_json(made.folder / "run.json")
    assert (record["seconds"], record["energy_joules"], record["pieces"]) == (12.0, 600.0, 2)
    assert record["steps"] == 9 and record["seconds_to_first_step"] == 0
    assert {"commit", "dirty"} <= record["versions"].keys()


class Nvml:
    """NVIDIA's management library, as far as it is used, with one GPU."""

    def __init__(self, millijoules: int) -> None:
        self.millijoules = millijoules

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 77
        return 0 if name == b"GPU-1f" else 6

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, found: Any) -> int:  # noqa: N802
        found._obj.value = self.millijoules
        return 0 if handle.value == 77 else 3


@pytest.mark.parametrize(("name", "joules"), [("GPU-1f", 123.456), ("GPU-2", math.nan)])
def test_the_counter_of_the_driver(
    name: str, joules: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda library: Nvml(123456))
    monkeypatch.setattr(usage, "visible_gpus", lambda: ["GPU-0", name])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert gpu_joules(torch.device("cuda")) == pytest.approx(joules, nan_ok=True)
    assert math.isnan(gpu_joules(torch.device("cpu")))


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_without_the_drivers_library_nothing_is_known(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(library: str) -> None:
        raise error(library)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(usage, "visible_gpus", lambda: ["GPU-0"])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert math.isnan(gpu_joules(torch.device("cuda")))
