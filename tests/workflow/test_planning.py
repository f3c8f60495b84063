"""What is said before anything runs is what then happens."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gst.config import Study, load_study
from gst.planning.costs import SMALL, costs
from gst.planning.jobs import Job, Output

HEADERS = 12_000
"""Bytes that names, shapes and the recipe may take in a file beside its arrays."""


def every_job(study: Study) -> list[Job]:
    """Return the jobs of a study whose files are worth counting, without Snakemake."""
    results = Path(study.results)
    runs = {"weights": "weights.safetensors", "examples": "examples.npz"}
    jobs = []
    for path in study.recipes:
        place = {
            "study": path.study,
            "benchmark": path.benchmark,
            "percent": path.percent,
            "method": path.method,
            "level": f"{path.level:02d}",
            "cohort": str(path.cohort),
        }
        files = {name: results / "runs" / str(path) / file for name, file in runs.items()}
        if path.study == "stability":
            files["snapshots"] = results / "runs" / str(path) / "snapshots"
        jobs += [Job("train", place, (Output(name, file),)) for name, file in files.items()]
        spectrum = results / "flatness" / str(path) / "spectrum.npz"
        if spectrum.exists():
            jobs.append(Job("flatness", place, (Output("spectrum", spectrum),)))
    for score in study.el2n():
        place = {
            "benchmark": score.benchmark,
            "percent": score.percent,
            "cohort": str(score.cohort),
        }
        parts = "el2n", score.benchmark, f"noise-{score.percent}", f"{score.cohort}.npz"
        jobs.append(Job("el2n", place, (Output("scores", results.joinpath(*parts)),)))
    for file in (results / "labels").rglob("*.npz"):
        place = {"dataset": "digits", "cohort": file.stem}
        jobs.append(Job("label_noise", place, (Output("labels", file),)))
    for name in ("train", "test"):
        output = Output(name, results / f"data/digits/{name}.npz")
        jobs.append(Job("prepare_dataset", {"dataset": "digits"}, (output,)))
    return jobs


def test_files_have_the_sizes_that_were_predicted(finished, tiny) -> None:
    tiny["results"] = str(finished.root / "results")
    study = load_study(tiny, source="tiny", benchmarks=finished.root / "config/benchmarks")
    jobs = every_job(study)
    predicted = costs(study, jobs)
    there = costs(study, [replace(job, waiting=False) for job in jobs])
    assert len(jobs) > 50
    for job, before, after in zip(jobs, predicted, there, strict=True):
        # Of the VGG only some layers are pruned and masked.
        masks = 0.2 * before.kept if job.wildcards.get("study") == "stability" else 0
        assert before.kept != SMALL
        assert -masks <= after.kept - before.kept < HEADERS, job.outputs


@pytest.fixture
def changed(finished, tiny) -> str:
    """Return the file of a study of which a part is finished."""
    tiny["benchmarks"]["digits-lenet"]["pruning"] = {"fraction": 0.5}
    tiny["benchmarks"]["digits-lenet"]["levels"] = 3
    return finished.write({**tiny, "name": "changed"})


def test_the_plan_of_a_study_that_is_finished_in_part(finished, changed: str) -> None:
    text = finished.command("plan", "all", "--configfile", changed)
    rows = {row[0]: row for row in re.findall(r"^(\w+) +(\d+) +(\d+) (.*)$", text, re.M)}
    done = {rule: (int(row[1]), int(row[2])) for rule, row in rows.items()}
    assert done["train_dense"] == (2, 2)
    assert done["train_pruned"] == (6, 0)
    assert done["train_extended"] == (6, 4)
    assert done["label_noise"] == (2, 2)
    assert " 3 in " in rows["train_pruned"][3]
    assert " 1 in " in rows["train_extended"][3]
    # Three levels, flatness, tables; then a figure, or merged tables and claims; the report.
    assert re.search(r" [78] in ", rows["all"][3])
    assert rows["train_pruned"][3].endswith("measured")


def test_reasons_in_words(finished, changed: str) -> None:
    with finished.edited("src/gst/models/vgg.py", "\n@register", "\nIDLE = 1\n\n\n@register"):
        text = finished.command("why", "all", "--configfile", changed)
    rules = dict(re.findall(r"^(\w+)\n((?:  .*\n?)+)", text, re.M))
    assert rules["train_pruned"].splitlines() == [
        "   2  settings changed: intervention.fraction 0.36 -> 0.5",
        "   2  reads new results of train_pruned",
        "   2  was not made yet; reads new results of train_pruned",
    ]
    assert rules["train_extended"].split("  ")[-1].strip() == "was not made yet"
    assert re.fullmatch(r" +\d+  code changed\n", rules["train_stability"])
    assert "train_dense" not in rules
    assert rules["report"].split("  ")[-1].strip() == "reads new results of claims, figure, merge"


def test_nothing_is_left_of_a_finished_study(finished, tiny) -> None:
    assert finished.command("why", "all", "--configfile", finished.write(tiny)).endswith(
        "Nothing would run: every file is there, and up to date.\n"
    )


def test_a_mistake_in_the_configuration_is_reported(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lnet"] = None
    file = finished.write({**tiny, "name": "wrong"})
    done = finished.python("workflow/commands/plan.py", "--configfile", file)
    assert done.returncode == 1
    assert "digits-lnet" in done.stdout
