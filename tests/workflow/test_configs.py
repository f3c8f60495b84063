from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

HOME = Path(__file__).parents[2]
STUDIES = {path.name for path in HOME.glob("config/*.yaml")} - {"claims.yaml", "paper.yaml"}


@pytest.mark.parametrize("file", sorted(STUDIES))
def test_every_shipped_study_plans(clone, file: str) -> None:
    text = clone.succeed("-n", "all", "--configfile", f"config/{file}")
    assert re.search(r"^report +1$", text, re.M)


def jobs_of(benchmark: dict[str, Any]) -> Counter[str]:
    """Return the jobs of a published benchmark, from its file alone."""
    replicates = benchmark["replicates"]
    cohorts = replicates // benchmark["cohort"]
    if benchmark["study"] == "stability":
        runs = cohorts * len(benchmark["variants"])
        return Counter(
            train_stability=runs,
            flatness=runs if benchmark.get("flatness") else 0,
            activations=runs if benchmark.get("activations") else 0,
            el2n=cohorts if benchmark.get("el2n") else 0,
            tables_stability=1,
        )
    levels, ablations = benchmark["levels"], benchmark.get("ablations") or {}
    last = {"pruned": levels, "extended": levels, "width": benchmark.get("width_levels", levels)}
    per_cohort = Counter(
        train_dense=1,
        train_pruned=levels * (1 + len(ablations)),
        train_extended=last["extended"],
        train_width=last["width"],
        el2n=1,
    )
    if any(one.get("rewind") == "weights" for one in ablations.values()):
        per_cohort["train_dense"] += benchmark.get("rewind_epoch", 0) > 0
    if every := (benchmark.get("flatness") or {}).get("every"):
        measured = [{*range(every, n + 1, every), n} for n in last.values()]
        per_cohort["flatness"] = 1 + sum(map(len, measured))
    left_out = len(benchmark.get("leave_out") or ())
    per_noise = Counter({rule: cohorts * number for rule, number in per_cohort.items()})
    per_noise += Counter(left_out=left_out, train_leave_out=replicates * left_out)
    noise = len(benchmark["noise"])
    per_benchmark = Counter({rule: noise * number for rule, number in per_noise.items()})
    return per_benchmark + Counter(tables_regularization=1)


MEASURED = """
import atexit, os, pathlib, sys
from snakemake.cli import main

def say() -> None:
    print(f"computed {sum(os.times()[:2])} s")
    print(pathlib.Path("/proc/self/status").read_text())

atexit.register(say)
main(sys.argv[1:])
"""
"""Snakemake, which says at its end what it has used."""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux tells it")
def test_both_published_studies_plan_in_little_memory(clone, capsys) -> None:
    started = time.monotonic()
    options = ["-n", "all", "--configfile", "config/paper.yaml", "--quiet", "rules"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *options],
        cwd=clone.root,
        env=os.environ | {"PYTHONPATH": str(clone.root / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    text = done.stdout
    planned = Counter({rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", text, re.M)})
    computed = float(re.search(r"^computed (.*) s$", text, re.M)[1])
    peak = int(re.search(r"^VmHWM:\s+(\d+) kB$", text, re.M)[1]) / 1024
    with capsys.disabled():
        print(
            f"\n{planned['total']} jobs planned in {time.monotonic() - started:.1f} s, "
            f"{computed:.1f} s of them computing, and {peak:.0f} MB"
        )
    study = yaml.safe_load((clone.root / "config/paper.yaml").read_text())
    expected: Counter[str] = Counter()
    for name in study["benchmarks"]:
        file = clone.root / f"config/benchmarks/{name}.yaml"
        expected += jobs_of(yaml.safe_load(file.read_text()))
    assert expected.total() > 4000
    assert {rule: planned[rule] for rule in expected} == expected
    assert peak < 2048


def test_the_default_study_is_planned_when_no_file_is_given(clone) -> None:
    """Also when single values are; and it keeps to the number of jobs that import torch."""
    text = clone.succeed("-n", "--config", "results=elsewhere")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", text, re.M))
    assert "elsewhere/report.html" in text
    torch = [int(n) for rule, n in jobs.items() if re.match("train_|el2n|flatness", rule)]
    assert 0 < sum(torch) <= 200


def test_a_figure_is_a_target_with_only_what_it_needs(clone, tiny) -> None:
    plan = clone.plan(tiny, "stability_accuracy")
    assert set(plan.rules) == {
        *("prepare_dataset", "label_noise", "train_stability", "flatness", "tables_stability"),
        *("el2n", "figure", "stability_accuracy"),
    }
    assert plan.rules["figure"] == 1


@pytest.mark.parametrize("profile", ["slurm", "profiles/gpus"])
def test_profiles_give_a_gpu_to_jobs_that_train_or_measure(clone, profile: str) -> None:
    settings = yaml.safe_load((clone.root / profile / "config.yaml").read_text())
    rules = set()
    for study in ("config", "experiments-digits"):
        file = f"config/{study}.yaml"
        text = clone.succeed("-n", "all", "--profile", profile, "--configfile", file)
        rules |= set(re.findall(r"^(train_\w+|el2n|flatness|activations) +\d+$", text, re.M))
    assert rules == {rule for rule, own in settings["set-resources"].items() if own.get("gpu")}


def test_the_conda_environment_has_the_versions_of_the_lock() -> None:
    lock = (HOME / "requirements/lock.txt").read_text()
    environment = yaml.safe_load((HOME / "envs/gst.yaml").read_text())
    pinned = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pinned
    for requirement in pinned:
        line = rf"^{re.escape(requirement)}( ; python_full_version < '3.12')?$"
        assert re.search(line, lock, re.M), requirement
