"""The page, and what studies cost, from numbers written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from gst.__main__ import main
from gst.bench.cost import cost
from gst.bench.page import NO_GPU, costs_table, page
from gst.bench.records import (
    Agreement,
    Augmentation,
    Copy,
    Evaluation,
    Failure,
    Machine,
    Measurements,
    Network,
    Plain,
    Precision,
    Processes,
    Product,
    Record,
    Start,
    Training,
    write,
)
from gst.config import Study, load_study

HOME = Path(__file__).parents[2]
LENET = 2 * (64 * 100 + 100 * 50 + 50 * 10)
"""Operations of lenet-digits on one image."""
TRAIN, TEST = 1437, 360
"""Images of digits."""


def training(
    replicates: int,
    rate: float,
    precision: Precision = "float32",
    network: str = "lenet-digits",
) -> Training:
    return Training(
        network=network,
        precision=precision,
        mode="eager",
        replicates=replicates,
        steps_per_second=rate / replicates / 128,
        images_per_second=rate,
        gain=None,
        share_of_product=0.123,
        share_of_roofline=0.456,
        peak_memory_mb=7891,
    )


def counted(network: str, operations: int) -> Network:
    return Network(
        network=network,
        precision="float32",
        shape=(1, 8, 8),
        parameters=12_345,
        forward_operations_per_image=operations,
        training_operations_per_image=3 * operations,
        bytes_per_step=98_700_000,
    )


def evaluation(rate: float, precision: Precision = "float32") -> Evaluation:
    return Evaluation(network="lenet-digits", precision=precision, images_per_second=rate)


PLAIN = Plain(
    network="lenet-digits",
    workers=2,
    steps_per_second=0.25,
    images_per_second=32,
    ratio=31.25,
)
RECORDS: list[Record] = [
    counted("lenet-digits", LENET),
    training(1, 1000),
    training(5, 3000),
    training(1, 4000, "bf16"),
    evaluation(2000),
    evaluation(5000, "bf16"),
    PLAIN,
]


def study(tmp_path: Path, **changes: object) -> Study:
    settings = {
        "training": {"epochs": 10, "batch_size": 64},
        "noise": [0],
        "replicates": 6,
        "cohort": 3,
        "methods": ["width"],
        "width_factor": 0.8,
        "width_levels": 1,
        "el2n": {"epoch": 5, "networks": 10},
        "ablations": None,
        "leave_out": None,
        "flatness": None,
    }
    config = {
        "name": "toy",
        "results": str(tmp_path),
        "benchmarks": {"digits-lenet": {**settings, **changes}},
    }
    return load_study(config, source="toy", benchmarks=HOME / "config/benchmarks")


def test_cost_by_hand(tmp_path: Path) -> None:
    """Two cohorts of three train dense and narrower, ten times as many for EL2N half as long."""
    (found,) = cost(study(tmp_path), RECORDS)
    runs, scored = 2 * 6, 10 * 6
    assert found.trainings == runs + scored
    assert found.images == TRAIN * (10 * runs + 5 * scored)
    evaluated = runs * (10 * TEST + TRAIN + TEST) + scored * (5 * TEST + TRAIN + TEST)
    # Three replicates lie half way between one and five; thirty are taken to bring no more.
    trained = TRAIN * 10 * runs / 2000 + TRAIN * 5 * scored / 3000
    assert found.hours["float32"] == pytest.approx((trained + evaluated / 2000) / 3600)
    assert found.hours["bf16"] == pytest.approx((found.images / 4000 + evaluated / 5000) / 3600)
    assert found.plain_hours == pytest.approx((found.images / 32 + evaluated / 2000) / 3600)
    narrower = 2 * (64 * 80 + 80 * 40 + 40 * 10)
    dense = TRAIN * 30 + 10 * TEST + TRAIN + TEST
    scoring = scored * LENET * (TRAIN * 15 + 5 * TEST + TRAIN + TEST)
    assert found.operations == 6 * (LENET + narrower) * dense + scoring


def test_flatness_runs_at_the_operations_of_one_replicate(tmp_path: Path) -> None:
    settings = {"every": 1, "k": 4, "directions": 2, "examples": 100, "trace_samples": 2}
    without, measured = (
        cost(study(tmp_path, flatness=own), RECORDS)[0] for own in (None, settings)
    )
    work = measured.operations - without.operations
    assert work > 0
    for precision in ("float32", "bf16"):
        added = 3600 * (measured.hours[precision] - without.hours[precision])
        # The narrower network has fewer operations, at the same rate.
        assert added == pytest.approx(work / (1000 * 3 * LENET))


@pytest.mark.parametrize(("factor", "scale"), [(0.5, 2), (2, 1), (5, None)])
def test_another_network_stands_for_one_that_was_not_measured(
    tmp_path: Path, factor: float, scale: float | None
) -> None:
    renamed = [
        counted("other", round(factor * LENET)),
        *(record.model_copy(update={"network": "other"}) for record in RECORDS[1:]),
    ]
    plan = study(tmp_path, methods=["extended"], levels=1)
    (own,), (found,) = (cost(plan, records) for records in (RECORDS, renamed))
    assert found.operations == own.operations
    if scale is None:
        assert (found.measured, found.hours, found.plain_hours) == (None, {}, None)
        return
    assert found.measured == "other"
    for precision, hours in own.hours.items():
        assert found.hours[precision] == pytest.approx(scale * hours)
    assert found.plain_hours == pytest.approx(scale * (own.plain_hours or 0))


def test_the_table_says_what_was_not_measured(tmp_path: Path) -> None:
    found = cost(study(tmp_path), RECORDS)
    assert f"| {found[0].hours['float32']:.3g} " in costs_table(found)
    assert "none near it was measured" in costs_table(cost(study(tmp_path), []))


def measurements(*records: Record, command: str = "python -m gst bench") -> Measurements:
    machine = Machine(
        device="NVIDIA Test",
        kind="cuda",
        cpu="Some CPU",
        cores=16,
        memory_gb=128.0,
        threads=8,
        torch="2.11.0",
        commit="abc",
        date="2026-01-02",
        command=command,
        batch_size=128,
    )
    return Measurements(machine=machine, records=records)


def test_the_page_has_the_numbers(tmp_path: Path) -> None:
    failure = Failure(
        network="lenet-digits",
        precision="float32",
        mode="captured",
        replicates=32,
        reason="out of memory",
    )
    augmentation = Augmentation(
        network="lenet-digits",
        gather_seconds_per_batch=0.001,
        augmentation_seconds_per_batch=0.00432,
        share_of_step=0.371,
    )
    beside = Processes(
        network="lenet-digits",
        replicates=5,
        steps=77,
        processes=2,
        cohort_seconds=4,
        separate_seconds=10,
    )
    first = measurements(
        Product(precision="bf16", size=4096, operations_per_second=5.55e14),
        Copy(bytes_per_second=2.22e12),
        *RECORDS,
        failure,
        augmentation,
        Start(network="lenet-digits", seconds=6.5),
        beside,
    )
    second = measurements(training(1, 9876, network="resnet20"), command="python -m gst bench -x")
    files = [tmp_path / "gpu.json", tmp_path / "more.json"]
    for file, found in zip(files, (first, second), strict=True):
        write(file, found)
    words = ["bench", "page", *map(str, files), "--studies", "--out", str(tmp_path)]
    assert main(words) == 0
    text = (tmp_path / "performance.md").read_text()
    assert text.count("## NVIDIA Test, 8 threads\n") == 1 and NO_GPU not in text
    for part in (
        "555 T operations/s, of 4096 x 4096",
        "2,220 GB/s",
        "| lenet-digits | float32 | eager | 5 | 4.69 | 3,000 |  | 12.3% | 45.6% | 7,891 |",
        "| lenet-digits | float32 | captured | 32 | out of memory; larger ones not tried |",
        "| resnet20 | float32 | eager | 1 | 77.2 | 9,876 |",
        "| lenet-digits | 2,000 | 5,000 | 4.32 | 37.1% | 32 | 2 | 31.25 |",
        "5 trainings of 77 steps take 4.0 s as one cohort and 10.0 s",
        "2.5 times as long",
        "takes 6.5 s",
        "`python -m gst bench -x`",
        "(figures/performance-gpu.png)",
    ):
        assert part in text
    assert (tmp_path / "figures/performance-gpu.png").stat().st_size > 0


def test_a_device_on_which_runs_were_only_compared(tmp_path: Path) -> None:
    found = Agreement(
        network="lenet-digits",
        way="bf16",
        seeds=8,
        epochs=12,
        difference=0.00123,
        accuracy=0.951,
        change=-0.02,
        low=-0.05,
        high=0.01,
    )
    machine = measurements().machine.model_copy(update={"kind": "cpu", "threads": 1})
    write(tmp_path / "cpu.json", Measurements(machine=machine, records=(found,)))
    page([tmp_path / "cpu.json"], [], tmp_path)
    text = (tmp_path / "performance.md").read_text()
    row = "| lenet-digits | bf16 | 8 | 12 | 1.2e-03 | 95.1% | -2.00 [-5.00, +1.00] |"
    assert row in text and NO_GPU in text and "## NVIDIA Test, 1 thread\n" in text
    assert "Ceilings" not in text and not (tmp_path / "figures").exists()


def test_the_cost_of_a_study_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "cpu.json", measurements(*RECORDS))
    words = ["bench", "cost", str(HOME / "config/mnist.yaml"), str(tmp_path / "cpu.json")]
    assert main(words) == 0
    assert "| mnist-lenet | lenet (none near" in capsys.readouterr().out
    assert main([*words[:-1], str(tmp_path / "none.json")]) == 1
    assert "none.json: cannot be read" in capsys.readouterr().err
