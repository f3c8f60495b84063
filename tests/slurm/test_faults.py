"""The default study, cut down, through the shipped profile on a cluster that fails.

Whatever fails, the results are those of a run on this machine, bit for bit but for times.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from tests.slurm.cluster import Cluster, slurm, wait
from tests.workflow.conftest import TINY, Clone

from gst.artifacts import read_weights

OFFLINE = Path(__file__).parent / "offline"
PLACE = "runs/regularization/digits-lenet/noise-40"
STUDY: dict[str, Any] = TINY | {
    "benchmarks": {
        "digits-lenet": {
            **TINY["benchmarks"]["digits-lenet"],
            "training": {"epochs": 60},
            "noise": [40],
            "figures": {"regularization_errors": "regularization_error_weights"},
        },
        "digits-vgg": {
            **TINY["benchmarks"]["digits-vgg"],
            "variants": {"r-fast": TINY["benchmarks"]["digits-vgg"]["variants"]["r-fast"]},
            "flatness": None,
            "figures": {"stability_accuracy": "stability_accuracy"},
        },
    },
}
TIMES = ["seconds", "started", "peak_memory_mb", "energy_joules"]
"""Columns of tables that differ between two runs of a study."""


class Workflow:
    """`snakemake --profile slurm`, typed in a clone, and what became of its jobs."""

    def __init__(self, clone: Clone, name: str, *targets: str) -> None:
        self.clone, self.results = clone, clone.root / name
        configuration = clone.write(STUDY | {"name": name, "results": name})
        self.command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *targets]
        self.command += ["--configfile", configuration]
        self.command += ["--slurm-init-seconds-before-status-checks", "6"]
        self.said = clone.root / f"{name}.txt"

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it; it is killed at the end of the block if it still runs."""
        paths = os.pathsep.join(map(str, (self.clone.root / "src", OFFLINE)))
        own = {"PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": "", "GST_CPU_INSTEAD_OF_GPU": "1"}
        with (
            self.said.open("ab") as said,
            subprocess.Popen(
                self.command,
                cwd=self.clone.root,
                env=os.environ | own,
                stdout=said,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def log(self, run: str) -> Path:
        return self.results / "logs" / f"{run}.log"

    def freeze(self, *runs: str, epoch: int = 10) -> list[psutil.Process]:
        """Stop the processes that train some runs, each once it has finished an epoch."""
        found: dict[str, psutil.Process] = {}

        def all_stopped() -> bool:
            for run in set(runs) - found.keys():
                log = self.log(run)
                text = log.read_text() if log.exists() else ""
                if any(int(done) >= epoch for done in re.findall(r"^epoch (\d+)/", text, re.M)):
                    for process in psutil.process_iter():
                        if _writes(process, log):
                            process.suspend()
                            found[run] = process
            return len(found) == len(runs)

        wait(all_stopped, f"{runs} train")
        return [found[run] for run in runs]

    def submitted(self) -> dict[str, list[str]]:
        """Return the numbers of all SLURM jobs, by rule or group."""
        jobs: dict[str, list[str]] = {}
        for line in slurm("squeue", "--noheader", "--states=all", "--format=%i|%Z|%k").splitlines():
            number, folder, comment = line.split("|")
            if Path(folder) == self.clone.root:
                jobs.setdefault(comment, []).append(number)
        return jobs


def _writes(process: psutil.Process, log: Path) -> bool:
    try:
        return os.readlink(f"/proc/{process.pid}/fd/1") == str(log)
    except OSError:
        return False


def job_of(process: psutil.Process) -> str:
    """Return the number of the SLURM job that a process belongs to; it was given a GPU."""
    environment = process.environ()
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    return environment["SLURM_JOB_ID"]


def state(job: str) -> str:
    return slurm("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


def node(job: str) -> str:
    return slurm("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%N").strip()


def contents(file: Path) -> object:
    """Return what is to be the same in two runs of a study."""
    if file.suffix == ".safetensors":
        tensors, meta = read_weights(file)
        return meta, {name: array.tobytes() for name, array in tensors.items()}
    if file.suffix == ".npz":  # Its metadata states times.
        with np.load(file) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files if name != "meta"}
    if file.suffix in (".csv", ".parquet"):
        table = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
        return table.drop(columns=TIMES, errors="ignore").to_csv()
    raise ValueError(f"{file}: nothing to compare it by")


def results(folder: Path) -> dict[str, object]:
    """Return all weights, examples, metrics, scores, spectra, tables and claims of a study."""
    kinds = (".safetensors", ".npz", ".parquet", ".csv")
    return {
        str(file.relative_to(folder)): contents(file)
        for part in ("labels", "el2n", "runs", "flatness", "tables", "claims.csv")
        for file in sorted([folder / part, *(folder / part).rglob("*")])
        if file.suffix in kinds
    }


@pytest.fixture(scope="module")
def undisturbed(clone: Clone) -> Path:
    """The results of a run on this machine; the stability study has fewer conditions in it."""
    file = clone.root / "config/benchmarks/digits-vgg.yaml"
    benchmark = yaml.safe_load(file.read_text())
    benchmark["variants"] = {name: benchmark["variants"][name] for name in ("none", "r-fast")}
    file.write_text(yaml.safe_dump(benchmark))
    study = STUDY | {"name": "undisturbed", "results": "undisturbed"}
    clone.succeed("all", "--configfile", clone.write(study))
    return clone.root / "undisturbed"


@contextmanager
def site(clone: Clone, scratch: Path, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Change the shipped profile as a user does for a site, while the block lasts."""
    path = clone.root / "slurm/config.yaml"
    shipped = path.read_text()
    profile = yaml.safe_load(shipped)
    profile["default-resources"]["scratch"] = str(scratch)
    change(profile)
    path.write_text(yaml.safe_dump(profile))
    try:
        yield
    finally:
        path.write_text(shipped)


def test_a_job_that_opens_a_connection_fails(cluster: Cluster) -> None:
    """So those below open none."""
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run(
        ["srun", "--ntasks=1", sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(OFFLINE)},
        capture_output=True,
        text=True,
    )
    assert "PermissionError: a job opens a connection" in done.stderr


def test_jobs_that_are_cancelled_killed_late_or_lose_their_node(
    cluster: Cluster, clone: Clone, undisturbed: Path
) -> None:
    cancelled, late, *chain = (
        f"{PLACE}/{run}/seeds-0-1"
        for run in ("dense/level-00", "width/level-01", "pruned/level-01", "pruned/level-02")
    )
    workflow = Workflow(clone, "faults", "all")
    scratch = clone.root / "scratch/shared"

    def little_memory(profile: dict[str, Any]) -> None:
        memory = "300 if attempt == 1 and wildcards.method == 'r-fast' else 4000"
        profile["set-resources"]["train_stability"]["mem_mb"] = memory

    with site(clone, scratch, little_memory), workflow.running() as process:
        jobs = [job_of(training) for training in workflow.freeze(cancelled, late)]
        slurm("scontrol", "update", f"jobid={jobs[1]}", "timelimit=1")
        slurm("scancel", jobs[0])
        wait(lambda: state(jobs[0]) == "CANCELLED", "the job is cancelled")

        # A chain is cancelled in its second level, goes on there, and loses its node.
        jobs += map(job_of, workflow.freeze(chain[1]))
        slurm("scancel", jobs[2])
        wait(lambda: state(jobs[2]) == "CANCELLED", "the chain is cancelled")
        jobs += map(job_of, workflow.freeze(chain[1]))
        lost = node(jobs[3])
        cluster.lose(lost)
        wait(lambda: node(jobs[3]) not in ("", lost), "the job runs on another node")
        cluster.bring_back(lost)
        assert process.wait(900) == 0, workflow.said.read_text()[-5000:]
    assert [state(job) for job in jobs] == ["CANCELLED", "TIMEOUT", "CANCELLED", "COMPLETED"]

    found, expected = results(workflow.results), results(undisturbed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert scratch.exists() and not list(scratch.rglob("*.safetensors"))

    for run in (cancelled, late, chain[1]):
        assert "going on from epoch" in workflow.log(run).read_text(), run
    log = workflow.log(chain[0]).read_text()
    assert "going on from epoch 60" in log and "epoch 60/60" not in log
    submitted = workflow.submitted()
    killed = submitted["rule_train_stability_wildcards_stability_digits-vgg_0_r-fast_00_seeds-0-1"]
    assert sorted(map(state, killed)) == ["COMPLETED", "FAILED"]
    assert [len(numbers) for job, numbers in submitted.items() if "pruned_train" in job] == [2]
    assert not any("prepare_dataset" in job for job in submitted)


def test_a_killed_workflow_and_a_power_cut(
    cluster: Cluster, clone: Clone, undisturbed: Path
) -> None:
    """Here each level is a job of its own, and checkpoints lie on the node's own disk."""
    levels = [
        f"{PLACE}/{run}/seeds-0-1"
        for run in ("dense/level-00", "pruned/level-01", "pruned/level-02")
    ]
    workflow = Workflow(clone, "killed", f"killed/{levels[-1]}/run.json")
    disks = clone.root / "disks"

    def other_ways(profile: dict[str, Any]) -> None:
        del profile["groups"]
        for asked in profile["set-resources"].values():
            if asked.pop("gpu", 0):
                asked["gres"] = "gpu:1"

    with site(clone, disks / "$SLURMD_NODENAME", other_ways):
        with workflow.running() as process:
            (orphan,) = workflow.freeze(levels[0])
            process.kill()
        number = job_of(orphan)
        with workflow.running() as process:
            assert process.wait() != 0
        assert "--unlock" in workflow.said.read_text()
        clone.succeed("--unlock", "--configfile", str(clone.root / "config/killed.yaml"))
        with workflow.running() as process:
            assert process.wait() != 0
        assert f"scancel {number}" in workflow.said.read_text()
        orphan.resume()
        wait(lambda: state(number) == "COMPLETED", "the job has finished by itself")
        weights = workflow.results / levels[0] / "weights.safetensors"
        written = weights.stat().st_mtime

        with workflow.running() as process:
            (training,) = workflow.freeze(levels[1])
            level = job_of(training)
            cluster.stop()
            cluster.start()  # That the job is gone, SLURM notices within two minutes.
            assert process.wait(900) == 0, workflow.said.read_text()[-5000:]
    assert weights.stat().st_mtime == written and state(level) == "COMPLETED"
    for run in levels:
        for name in ("weights.safetensors", "examples.npz", "epochs.parquet"):
            place = f"{run}/{name}"
            assert contents(workflow.results / place) == contents(undisturbed / place)
    assert sum(job.startswith("rule_train_pruned_") for job in workflow.submitted()) == 2
    used = {disk.name for disk in disks.iterdir()}
    assert used and used <= {*cluster.nodes}
