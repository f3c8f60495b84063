"""What the shipped profiles ask for, and what scripts make of it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

HOME = Path(__file__).parents[2]
SLURM = (HOME / "slurm/config.yaml").read_text()
RULES = "\n".join(file.read_text() for file in (HOME / "workflow/rules").glob("*.smk"))
LOCAL = {"prepare_dataset"}
CHAINED = {"train_pruned", "train_extended"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """What scripts share."""
    spec = importlib.util.spec_from_file_location("_job", HOME / "workflow/scripts/_job.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def demand(profile: dict, rule: str, name: str, attempt: int) -> int:
    return eval(str(profile["set-resources"][rule][name]), {"attempt": attempt})


def test_the_slurm_profile_shows_what_each_rule_asks_for() -> None:
    """At the first attempt it is what the rule states itself, but for chains; then it grows."""
    profile = yaml.safe_load(SLURM)
    parents = {child: parent for parent, child in re.findall(r"use rule (\w+) as (\w+)", RULES)}
    own = dict(
        re.findall(r"^rule (\w+):\n(?:.*\n)*?    resources:\n((?:        .*\n)+)", RULES, re.M)
    )
    assert set(profile["set-resources"]) == {*own, *parents} - LOCAL
    for rule in profile["set-resources"]:
        stated = rule
        while stated in parents:
            stated = parents[stated]
        for name in ("mem_mb", "runtime"):
            first, second, third = (demand(profile, rule, name, n) for n in (1, 2, 3))
            assert first < second < third
            if name == "mem_mb" or rule not in CHAINED:
                assert f"{name}={first}," in own[stated], (rule, name)


def test_gpus_are_asked_for_in_one_place() -> None:
    switched = yaml.safe_load(SLURM.replace("&gpu { gpu: 1 }", '&gpu { gres: "gpu:1" }'))
    asking = {rule for rule, asked in switched["set-resources"].items() if "gres" in asked}
    assert not any("gpu" in asked for asked in switched["set-resources"].values())
    shipped = yaml.safe_load(SLURM)["set-resources"]
    local = yaml.safe_load((HOME / "profiles/gpus/config.yaml").read_text())["set-resources"]
    assert asking == {rule for rule, asked in shipped.items() if "gpu" in asked} == {*local}


def test_retries_are_the_profile_s() -> None:
    """Those of a rule would be taken again inside of the SLURM job, in its old allocation."""
    assert yaml.safe_load(SLURM)["retries"] == 2
    assert "retries:" not in RULES


@pytest.mark.parametrize(
    ("resources", "number"),
    [
        ({}, 0),
        ({"gpu": 0}, 0),
        ({"gpu": 8}, 8),
        ({"gpu": 0, "gres": "gpu"}, 1),
        ({"gpu": 0, "gres": "gpu:2"}, 2),
        ({"gpu": 0, "gres": "gpu:a100"}, 1),
        ({"gpu": 0, "gres": "gpu:a100:4"}, 4),
        ({"gpu": 1, "gres": "ssd:10"}, 1),
    ],
)
def test_the_number_of_gpus_that_a_job_was_given(
    script: ModuleType, resources: dict, number: int
) -> None:
    assert script.gpus(resources) == number


def test_scratch_is_the_profile_s_or_else_below_results(script: ModuleType) -> None:
    assert script.scratch({}, "results/checkpoints") == Path("results/checkpoints")
    assert script.scratch({"scratch": "/fast/me"}, "results/checkpoints") == Path("/fast/me")
    with pytest.raises(ValueError, match=r"\$LOCAL/gst names a variable that is not set on"):
        script.scratch({"scratch": "$LOCAL/gst"}, "results/checkpoints")


def test_processes_of_srun_and_gpus_must_be_as_many(clone, tiny) -> None:
    tiny |= {"name": "several", "results": "several"}
    asked = [f"train_dense:{one}" for one in ("mpi='srun'", "tasks=4", "gpu=8")]
    done = clone.snakemake(
        "several/runs/regularization/digits-lenet/noise-0/dense/level-00/seeds-0-1/run.json",
        *("--configfile", clone.write(tiny), "--set-resources", *asked),
    )
    assert done.returncode != 0
    assert "train_dense: mpi starts one process a GPU" in done.stdout
    assert "found tasks 4 and gpu 8" in done.stdout
    assert not (clone.root / "several/data").exists()
