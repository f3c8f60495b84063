from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gst.artifacts import write_json
from gst.config import Study, load_study
from gst.planning.costs import CORE, GPU, SMALL, START, costs
from gst.planning.jobs import Job, Output
from gst.planning.overview import duration, overview, size

HOME = Path(__file__).parents[2]
LENET = 2 * (64 * 100 + 100 * 50 + 50 * 10)
"""Operations of the network of digits-lenet on one image."""


def study(tmp_path: Path, **changes: object) -> Study:
    settings = {
        "training": {"epochs": 10, "batch_size": 64},
        "network": {"name": "lenet-digits", "keep_last_layer": False},
        "replicates": 4,
        "cohort": 2,
        "levels": 3,
        "rewind_epoch": 0,
        "el2n": {"epoch": 5, "networks": 3},
    }
    config = {
        "name": "toy",
        "results": str(tmp_path),
        "benchmarks": {"digits-lenet": {**settings, **changes}},
    }
    return load_study(config, source="toy", benchmarks=HOME / "config/benchmarks")


def job(rule: str, method: str = "dense", level: int = 0, cohort: str = "seeds-0-1") -> Job:
    wildcards = {
        "study": "regularization",
        "benchmark": "digits-lenet",
        "percent": "40",
        "method": method,
        "level": f"{level:02d}",
        "cohort": cohort,
    }
    return Job(rule, wildcards, (Output("weights", Path("weights")), Output("run", Path("run"))))


def test_training_is_counted(tmp_path: Path) -> None:
    """Ten epochs of two replicates: three passes an example, and one a test image."""
    (found,) = costs(study(tmp_path), [job("train_dense")])
    passes = 2 * (10 * (3 * 1437 + 360) + 1437 + 360)
    steps = 10 * 23  # 22.5 batches of 64 in 1437 examples
    expected = START + steps * CORE.step + passes * LENET / CORE.rate
    assert found.seconds == pytest.approx(expected)
    assert found.source == "counted"


def test_two_gpus_share_the_operations(tmp_path: Path) -> None:
    one, two = costs(study(tmp_path), [replace(job("train_dense"), gpus=gpus) for gpus in (1, 2)])
    fixed = START + 230 * GPU.step
    assert one.seconds - fixed == pytest.approx(2 * (two.seconds - fixed))


def test_scoring_trains_every_network_up_to_its_epoch(tmp_path: Path) -> None:
    wildcards = {"benchmark": "digits-lenet", "percent": "40", "cohort": "seeds-0-1"}
    scores = (Output("scores", Path("scores")),)
    (found,) = costs(study(tmp_path), [Job("el2n", wildcards, scores)])
    passes = 2 * 3 * (5 * (3 * 1437 + 360) + 1437 + 360)
    assert found.seconds == pytest.approx(START + 115 * CORE.step + passes * LENET / CORE.rate)
    assert found.kept == 4 * 2 * 1437 * (3 + 3)  # networks, spread and two halves


def test_finished_jobs_correct_what_is_counted(tmp_path: Path) -> None:
    """A finished level took three times what was counted, so that the others will."""
    plan = study(tmp_path)
    waiting = [job("train_pruned", "pruned", 2), job("train_dense"), job("flatness")]
    counted = costs(plan, [job("train_pruned", "pruned", 1), *waiting])
    done = replace(job("train_pruned", "pruned", 1), waiting=False, seconds=3 * counted[0].seconds)
    found = costs(plan, [done, *waiting])
    assert [cost.source for cost in found] == ["recorded", *["measured"] * 3]
    for before, after in zip(counted, found, strict=True):
        assert after.seconds == pytest.approx(3 * before.seconds)


def test_the_most_similar_finished_jobs_count(tmp_path: Path) -> None:
    plan = study(tmp_path)
    waiting = [job("train_pruned", "pruned", 2), job("train_dense")]
    counted = costs(plan, waiting)
    done = [
        replace(job("train_pruned", "pruned", 1), waiting=False, seconds=4 * counted[0].seconds),
        replace(
            job("train_dense", cohort="seeds-2-3"), waiting=False, seconds=2 * counted[1].seconds
        ),
    ]
    found = costs(plan, [*waiting, *done])
    assert found[0].seconds == pytest.approx(4 * counted[0].seconds)
    assert found[1].seconds == pytest.approx(2 * counted[1].seconds)


def test_tables_that_took_long_say_nothing_of_training(tmp_path: Path) -> None:
    plan = study(tmp_path)
    tables = Job("tables", {"benchmark": "digits-lenet"}, (Output("runs", Path("runs")),))
    slow = replace(tables, waiting=False, seconds=3600.0)
    found = costs(plan, [slow, job("train_dense"), replace(tables, rule="left_out")])
    assert [cost.source for cost in found] == ["recorded", "counted", "measured"]
    assert found[1] == costs(plan, [job("train_dense")])[0]


def test_outputs_are_counted_and_temporary_ones_apart(tmp_path: Path) -> None:
    dense = job("train_dense")
    weights = 64 * 100 + 100 * 50 + 50 * 10
    (kept,) = costs(study(tmp_path), [dense])
    assert kept.kept == 2 * 4 * (weights + 160) + SMALL
    (pruned,) = costs(study(tmp_path), [job("train_pruned", "pruned", 1)])
    assert pruned.kept - kept.kept == 2 * weights
    outputs = (replace(dense.outputs[0], temporary=True), dense.outputs[1])
    (removed,) = costs(study(tmp_path), [replace(dense, outputs=outputs)])
    assert (removed.kept, removed.temporary) == (SMALL, kept.kept - SMALL)


def test_finished_files_are_measured_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/inner").write_bytes(b"12345")
    gone = Output("run", tmp_path / "gone")
    done = Job("merge", {}, (Output("weights", tmp_path / "weights"), gone), waiting=False)
    (found,) = costs(study(tmp_path), [done])
    assert (found.seconds, found.kept, found.source) == (0, 5, "unknown")


def test_a_dataset_of_ones_own_is_known_once_it_is_prepared(tmp_path: Path) -> None:
    config = {
        "name": "toy",
        "results": str(tmp_path),
        "datasets": {"mine": {"kind": "npz", "train": "a.npz", "test": "b.npz"}},
        "benchmarks": {"digits-lenet": {"dataset": "mine"}},
    }
    plan = load_study(config, source="toy", benchmarks=HOME / "config/benchmarks")
    first = replace(job("train_dense", cohort="seeds-0-2"))
    assert [cost.source for cost in costs(plan, [first])] == ["unknown"]
    info = {"train": 100, "test": 10, "shape": [1, 8, 8], "classes": ["a", "b"]}
    write_json(tmp_path / "data/mine/dataset.json", info)
    assert [cost.source for cost in costs(plan, [first])] == ["counted"]


def test_the_page_adds_up(tmp_path: Path) -> None:
    plan = study(tmp_path)
    jobs = [
        replace(job("train_dense"), waiting=False, seconds=7200.0, gpus=1),
        replace(job("train_pruned", "pruned", 1), after=(0,), gpus=2),
        replace(job("train_pruned", "pruned", 2), after=(1,), gpus=2),
        Job("merge", {}, (Output("runs", Path("runs")),), after=(0, 1, 2), threads=4),
        Job("all", {}, after=(3,)),
    ]
    found = costs(plan, jobs)
    hours = zip(found, (2, 10, 30, 5, 0), strict=True)
    found = [replace(cost, seconds=3600 * n) for cost, n in hours]
    lines = [line.split("  ") for line in overview(jobs, found).splitlines()]
    table = {line[0]: [cell.strip() for cell in line[1:] if cell] for line in lines if line[0]}
    assert table["train_dense"][:2] == ["1", "1"]
    assert table["train_pruned"][:3] == ["2", "0", "80"]
    assert "2 in 40 h" in table["train_pruned"]
    assert table["merge"][:3] == ["1", "0", "20"]
    assert table["all"][:4] == ["4", "1", "80", "20"]
    assert "3 in 45 h" in table["all"]
    assert "1 of 4 jobs are finished" in overview(jobs, found)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (150, "2.5 min"), (4 * 3600, "4.0 h"), (9 * 86400, "9.0 d")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(900, "1 kB"), (2.5e6, "2.5 MB"), (4.71e10, "47 GB"), (3e12, "3.0 TB")]
)
def test_sizes(number: float, text: str) -> None:
    assert size(number) == text
