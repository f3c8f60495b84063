"""What the benchmark says of a device; of a GPU, through a driver that the test stands in for."""

from __future__ import annotations

import pytest
import torch

from gst.bench import machine
from gst.bench.clock import synchronise

GPU = torch.device("cuda")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the driver's functions in the order in which they are called."""
    made: list[str] = []

    def stand_in(name: str, value: object = None) -> None:
        monkeypatch.setattr(torch.cuda, name, lambda *_: (made.append(name), value)[1])

    stand_in("get_device_name", "NVIDIA Test")
    stand_in("max_memory_reserved", 3 * 2**20)
    for name in ("empty_cache", "reset_peak_memory_stats", "synchronize"):
        stand_in(name)
    return made


def test_a_gpu_is_named(calls: list[str]) -> None:
    found = machine.describe(GPU, ["bench", "--out", "a b.json"], 128)
    assert (found.device, found.kind) == ("NVIDIA Test", "cuda")
    assert found.cpu != "NVIDIA Test"
    assert found.command == "python -m gst bench --out 'a b.json'"


def test_a_cpu_is_named() -> None:
    found = machine.describe(torch.device("cpu"), ["bench"], 128)
    assert (found.device, found.kind) == (found.cpu, "cpu")
    assert found.threads == torch.get_num_threads()


def test_memory_of_a_gpu_is_that_of_tensors_since_the_reset(calls: list[str]) -> None:
    machine.reset_peak(GPU)
    assert machine.peak_mb(GPU) == 3
    assert calls == ["empty_cache", "reset_peak_memory_stats", "max_memory_reserved"]


def test_only_a_gpu_is_waited_for(calls: list[str]) -> None:
    synchronise(torch.device("cpu"))
    assert calls == []
    synchronise(GPU)
    assert calls == ["synchronize"]
