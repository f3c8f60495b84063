from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

HOME = Path(__file__).parents[2]
STUDIES = sorted({path.name for path in HOME.glob("config/*.yaml")} - {"claims.yaml"})


@pytest.mark.parametrize("file", STUDIES)
def test_every_shipped_study_plans(clone, file: str) -> None:
    text = clone.succeed("-n", "all", "--configfile", f"config/{file}")
    assert re.search(r"^report +1$", text, re.M)


def test_the_default_study_is_planned_when_no_file_is_given(clone) -> None:
    """Also when single values are; and it keeps to the number of jobs that import torch."""
    text = clone.succeed("-n", "--config", "results=elsewhere")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", text, re.M))
    assert "elsewhere/report.html" in text
    torch = [int(n) for rule, n in jobs.items() if re.match("train_|el2n|flatness", rule)]
    assert 0 < sum(torch) <= 175


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
    assert rules == set(settings["set-resources"])
    assert all(given["gpu"] == 1 for given in settings["set-resources"].values())


def test_the_conda_environment_has_the_versions_of_the_lock() -> None:
    lock = (HOME / "requirements/lock.txt").read_text()
    environment = yaml.safe_load((HOME / "envs/gst.yaml").read_text())
    pinned = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pinned
    for requirement in pinned:
        line = rf"^{re.escape(requirement)}( ; python_full_version < '3.12')?$"
        assert re.search(line, lock, re.M), requirement
