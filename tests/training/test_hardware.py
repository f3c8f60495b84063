"""Which device a job computes on, with pretended GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gst.training import hardware, lease
from gst.training.hardware import device, visible_gpus


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Three GPUs; the list grows by the number of each that is made the current one."""
    chosen: list[int] = []
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 3,
        "get_device_properties": lambda number: SimpleNamespace(uuid=f"{number}f"),
        "set_device": chosen.append,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(lease, "FOLDER", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    yield chosen
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed


def test_a_job_takes_a_free_gpu(gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "take", lambda names: names.index("GPU-1f"))
    assert device(1) == torch.device("cuda") and gpus == [1]
    assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32


def test_a_job_that_asked_for_none_runs_on_the_cpu(gpus: list[int], tmp_path: Path) -> None:
    assert device(0) == torch.device("cpu")
    assert not gpus and not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["0,1,2", "GPU-0f,GPU-1f,GPU-2f", None])
def test_gpus_are_named_by_the_driver(
    given: str | None, gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if given:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == ["GPU-0f", "GPU-1f", "GPU-2f"]


def test_a_slice_of_a_gpu_goes_by_its_own_name(
    gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-6a,MIG-7b")
    assert visible_gpus() == ["MIG-6a"]


def test_a_promised_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv(hardware.FALLBACK, raising=False)
    with pytest.raises(RuntimeError, match="given a GPU but torch finds none"):
        device(1)
    monkeypatch.setenv(hardware.FALLBACK, "1")
    assert device(1) == torch.device("cpu")
