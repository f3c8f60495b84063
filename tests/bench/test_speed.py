"""The benchmark as a whole, on the smallest networks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from gst.__main__ import main
from gst.artifacts import ArtifactError
from gst.bench import cohorts, processes, speed
from gst.bench.clock import TooSlow
from gst.bench.records import Copy, Failure, Network, Processes, Product, Training, read, select

COPY = Copy(bytes_per_second=1e9)
PRODUCT = Product(precision="float32", size=8, operations_per_second=1e9)
COUNTS = Network(
    network="lenet-digits",
    precision="float32",
    shape=(1, 8, 8),
    parameters=10,
    forward_operations_per_image=1000,
    training_operations_per_image=10**6,
    bytes_per_step=2 * 10**8,
)
"""A step computes for 0.128 s and moves bytes for 0.2 s at the ceilings above."""


def cells(monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float | Exception]) -> list:
    """Measure cohorts whose steps take the given seconds, or fail, by number of replicates."""

    def step(network: str, replicates: int, *_: object, **__: object) -> float:
        found = seconds[replicates]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(cohorts, "seconds_per_step", step)
    plan = speed.Plan(["lenet-digits"], [1, 2, 4], ["float32"], ["eager"], [], 1, 30, 1)
    data = cohorts.synthetic((1, 8, 8), 1)
    session = speed.Session(torch.device("cpu"), plan)
    return list(session.cells(COUNTS, "eager", data, PRODUCT, COPY))


def test_rates_gains_and_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, four = cells(monkeypatch, {1: 0.4, 2: 0.5, 4: 0.8})
    assert one.steps_per_second == 2.5
    assert one.images_per_second == pytest.approx(128 / 0.4)
    assert one.share_of_product == pytest.approx(0.128 / 0.4)
    assert one.share_of_roofline == pytest.approx(0.2 / 0.4)
    assert [cell.gain for cell in (one, two, four)] == pytest.approx([1, 2 * 0.4 / 0.5, 2])
    assert four.share_of_roofline == pytest.approx(4 * 0.2 / 0.8)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "out of memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of memory"),
        (TooSlow("a step takes 31 s"), "a step takes 31 s"),
    ],
)
def test_a_cell_that_does_not_fit_is_reported_and_larger_ones_are_not_tried(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    one, two = cells(monkeypatch, {1: 0.4, 2: error})
    assert isinstance(one, Training)
    assert isinstance(two, Failure)
    assert (two.replicates, two.reason) == (2, reason)


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="illegal memory access"):
        cells(monkeypatch, {1: RuntimeError("CUDA error: an illegal memory access")})


def test_every_kind_of_record_is_printed_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "seconds", lambda *_, runs=1, **__: 5.0 * runs)
    threads, file = torch.get_num_threads(), tmp_path / "cpu.json"
    words = ["bench", "--networks", "lenet-digits", "vgg-digits", "--replicates", "2", "1"]
    words += ["--separate", "lenet-digits", "--seconds", "0.02", "--threads", "1"]
    assert main([*words, "--out", str(file)]) == 0
    torch.set_num_threads(threads)
    found = read(file)
    assert found.machine.command == f"python -m gst {' '.join(words)} --out {file}"
    kinds = Counter(type(record).__name__ for record in found.records)
    expected = {"Product": 2, "Copy": 1, "Network": 4, "Evaluation": 4, "Plain": 2}
    assert kinds == {**expected, "Training": 8, "Start": 1, "Processes": 1}
    for cell in select(found.records, Training):
        assert 0 < cell.share_of_product <= cell.share_of_roofline
        assert cell.peak_memory_mb > 50
    (beside,) = select(found.records, Processes)
    assert (beside.replicates, beside.cohort_seconds, beside.separate_seconds) == (2, 5, 10)
    printed = capsys.readouterr().out
    assert printed.count("\neager ") == 8
    assert "plain loop: " in printed


def test_a_gpu_that_is_not_there_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for words in (["bench"], ["bench", "agreement"]):
        assert main([*words, "--device", "cuda"]) == 1
        assert "torch finds none" in capsys.readouterr().err


def test_a_cpu_captures_no_steps(capsys: pytest.CaptureFixture[str]) -> None:
    threads = str(torch.get_num_threads())
    assert main(["bench", "--modes", "captured", "--threads", threads]) == 1
    assert "steps cannot be captured on this device" in capsys.readouterr().err


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cpu.json"
    file.write_text('{"records": []}')
    with pytest.raises(ArtifactError, match="not a file of `python -m gst bench`"):
        read(file)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read(tmp_path / "none.json")
