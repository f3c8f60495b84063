from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

HOME = Path(__file__).parents[2]
PARTS = ("CITATION.cff", "Snakefile", "config", "envs", "profiles", "slurm", "src", "workflow")

SCHEDULE = {"first_epochs": [0, 0, 0], "last_epochs": [1, 1, 1]}
TINY = yaml.safe_load((HOME / "config/config.yaml").read_text()) | {
    "name": "tiny",
    "keep_weights": "all",
    "benchmarks": {
        "digits-lenet": {
            "training": {"epochs": 3},
            "noise": [0, 40],
            "levels": 2,
            "width_levels": 1,
            "replicates": 2,
            "cohort": 2,
            "el2n": {"epoch": 1, "networks": 2},
            "leave_out": None,
            "flatness": {"every": 2, "examples": 8, "k": 2, "trace_samples": 2},
        },
        "digits-vgg": {
            "dataset": "digits",
            "training": {"epochs": 3, "milestones": [2]},
            "replicates": 2,
            "cohort": 2,
            "variants": {
                "s-slow": {**SCHEDULE, "period": 1},
                "s-fast": {**SCHEDULE, "period": None},
                "r-fast": {**SCHEDULE, "period": None},
                "l-fast": {**SCHEDULE, "period": None},
            },
            "el2n": {"epoch": 1, "networks": 2},
            "flatness": {
                "epoch": 2,
                "examples": 8,
                "k": 2,
                "directions": 1,
                "trace_samples": 2,
            },
        },
    },
}
"""The default study, cut down to seconds."""


@dataclass(frozen=True)
class Plan:
    """What a dry run says it would run: jobs by rule, and the message of each job."""

    rules: Counter[str]
    messages: list[str]

    def training(self) -> list[str]:
        return [message for message in self.messages if message.startswith("Training")]


@dataclass(frozen=True)
class Clone:
    """A copy of the project in which a test may run and edit."""

    root: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python as a user does, with the clone's own gst and no GPU."""
        own = {"PYTHONPATH": str(self.root / "src"), "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "snakemake", *arguments)

    def succeed(self, *arguments: str) -> str:
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def command(self, name: str, *arguments: str) -> str:
        """Run one of the commands that read the graph of jobs."""
        done = self.python(f"workflow/commands/{name}.py", *arguments)
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def plan(self, study: dict[str, Any] | None = None, *arguments: str) -> Plan:
        """Return what would run for a study; the finished one if none is given."""
        text = self.succeed("-n", *arguments, "--configfile", self.write(study))
        stats = re.search(r"^job +count\n[- ]+\n(.*?)^total", text, re.M | re.S)
        counts = re.findall(r"^(\S+) +(\d+)$", stats[1] if stats else "", re.M)
        rules = Counter({rule: int(count) for rule, count in counts if rule != "all"})
        return Plan(rules, sorted(set(re.findall(r"^Job \d+: (.*)$", text, re.M))))

    def write(self, study: dict[str, Any] | None = None) -> str:
        """Write a study's file, that of the finished one if none is given, and return its path."""
        study = study or TINY
        path = self.root / f"config/{study['name']}.yaml"
        path.write_text(yaml.safe_dump(study))
        return str(path)

    @contextmanager
    def edited(self, file: str, old: str, new: str) -> Iterator[None]:
        """Replace the first occurrence of some text in a file while the block lasts."""
        path = self.root / file
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))
        try:
            yield
        finally:
            path.write_text(before)


def _clone(root: Path) -> Clone:
    root.mkdir(parents=True)
    for part in PARTS:
        source = HOME / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / part)
    return Clone(root)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Nothing was run in it."""
    return _clone(tmp_path_factory.mktemp("clone") / "gst")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The cut-down study has been run in it."""
    made = _clone(tmp_path_factory.mktemp("finished") / "gst")
    made.succeed("all", "--configfile", made.write())
    return made


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The study of `finished`, for a test to change."""
    return yaml.safe_load(yaml.safe_dump(TINY))
