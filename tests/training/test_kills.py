"""Runs that are killed, at random moments and at every write, end as if undisturbed.

GST_KILLS says how often each kind of run is killed at random; 5 makes more than 50 kills in all.
A kill counts if it came after the first step and a checkpoint, and before the last write.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pytest

from gst import registry
from gst.artifacts import read_json, read_npz, read_weights, write_json, write_npz
from gst.data.loaded import Dataset
from gst.recipe import LeaveOut, Recipe, jsonable

KILLS = int(os.environ.get("GST_KILLS", 1))
SERVER = Path(__file__).parent / "fork_server.py"
SEEDS = (0, 1)
VARYING = ("started", "seconds", "seconds_to_first_step", "peak_memory_mb", "pieces", "versions")
"""Entries of run.json that differ between runs; the commit may, while one edits."""

SCHEDULE = {
    "fractions": [0.5, 0.8],
    "first_epochs": [0, 1],
    "last_epochs": [6, 5],
    "period": 2,
    "target": "L",
}
NOISE = {**SCHEDULE, "kind": "noise", "batches": 5}
LEVEL = {"level": 2, "rewind_epoch": 2, "intervention": {"kind": "weights", "fraction": 0.36}}
SMALL = {"network": "vgg-digits", "width": 0.5, "optimiser": {"kind": "adam", "lr": 0.01}}
LEFT_OUT = {"by": "random", "percent": 10.0}
KINDS: dict[str, dict[str, Any]] = {
    "dense": {"snapshots": [1]},
    "width": {"width": 2.0, "dropout": 0.2},
    "level": LEVEL,
    "level with weights rewound": {
        **LEVEL,
        "intervention": {**LEVEL["intervention"], "rewind": "weights", "score": "snip"},
    },
    "level in one shot": {
        **LEVEL,
        "intervention": {**LEVEL["intervention"], "schedule": "one-shot", "scope": "layer"},
    },
    "extended": {"level": 2, "rewind_epoch": 2},
    "leave-out": {"left_out": LEFT_OUT},
    "el2n": {"networks": 3},
    "filters": {
        **SMALL, "intervention": {**SCHEDULE, "kind": "filters"}, "snapshots": [2, 5],
        "augment": "flip-crop", "precision": "bf16",
    },
    "filters by activations": {
        **SMALL, "network": "resnet20-a", "width": 0.25,
        "intervention": {**SCHEDULE, "kind": "filters", "score": "activations"},
    },
    "zero": {**SMALL, "intervention": {**NOISE, "noise": "zero"}},
    "restore": {
        **SMALL, "intervention": {**NOISE, "noise": "restore", "hits": "cumulative"},
        "snapshots": [3],
    },
    "gaussian": {**SMALL, "intervention": {**NOISE, "noise": "gaussian", "target": "R"}},
    "scratch": {**SMALL, "intervention": {"kind": "scratch", "fractions": 0.4}},
    "gradual": {
        **SMALL,
        "intervention": {
            "kind": "gradual", "fraction": 0.7, "first_epoch": 0, "last_epoch": 6, "period": 2,
            "target": "R",
        },
    },
    "dense-sparse-dense": {
        **SMALL,
        "intervention": {
            "kind": "dense-sparse-dense", "fraction": 0.5, "sparse_epoch": 1, "dense_epoch": 4,
        },
    },
}  # fmt: skip


def test_there_is_a_kind_for_every_intervention() -> None:
    kinds = {kind["intervention"]["kind"] for kind in KINDS.values() if "intervention" in kind}
    assert kinds == set(registry.entries("gst.training.interventions"))


@dataclass
class Process:
    """One process that works on a job, and what it leaves."""

    pid: int
    log: Path
    steps: Path
    moves: Path
    status: int | None = None

    def executed(self) -> int:
        """Return how many steps it executed."""
        return self.steps.stat().st_size if self.steps.exists() else 0


@dataclass
class Server:
    """The process that forks the others."""

    folder: Path
    told: IO[str]
    tells: IO[str]
    number: int = 0

    def start(self, given: dict[str, Any], last: int = 0, when: str = "after") -> Process:
        """Start a process; it kills itself at its move number `last`."""
        self.number += 1
        files = {name: self.folder / f"{self.number}.{name}" for name in ("log", "steps", "moves")}
        noted = {name: str(file) for name, file in files.items()}
        print(json.dumps(given | noted | {"last": last, "when": when}), file=self.told, flush=True)
        return Process(int(self.tells.readline()), **files)

    def wait(self, process: Process) -> int:
        """Return a process's exit status once it ended."""
        process.status = int(self.tells.readline())
        return process.status

    def finish(self, given: dict[str, Any]) -> Process:
        """Let a process work undisturbed."""
        process = self.start(given)
        assert self.wait(process) == 0, process.log.read_text()
        return process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        yield Server(tmp_path_factory.mktemp("notes"), process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait() == 0


@pytest.fixture(scope="module")
def prepared(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set, labels and what is left out, in files."""
    folder = tmp_path_factory.mktemp("data")
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        write_npz(folder / f"{name}.npz", {"images": split.images, "labels": split.labels}, {})
    info = {
        "name": dataset.name, "train": len(dataset.train), "test": len(dataset.test),
        "shape": dataset.shape, "classes": dataset.classes, "mean": dataset.mean,
        "std": dataset.std,
    }  # fmt: skip
    write_json(folder / "dataset.json", info)
    seeds, rng = np.array(SEEDS), np.random.default_rng(1)
    labels = np.stack([rng.permutation(dataset.train.labels) for _ in SEEDS])
    wrong = np.zeros_like(labels, dtype=bool)
    write_npz(folder / "labels.npz", {"labels": labels, "noisy": wrong, "seeds": seeds}, {})
    left_out = np.stack([rng.permutation(len(dataset.train)) < 9 for _ in SEEDS])
    wanted = {"left_out": jsonable(LeaveOut.model_validate(LEFT_OUT))}
    write_npz(folder / "left_out.npz", {"left_out": left_out, "seeds": seeds}, wanted)
    return folder


@dataclass(frozen=True)
class Work:
    """A run of some kind, which can be done again and again."""

    recipe: Recipe
    given: dict[str, Any]
    place: Path

    @property
    def steps(self) -> int:
        """Number of steps of a whole run, of 90 or 81 examples, 16 a step."""
        return 6 * (self.recipe.training.epochs - self.recipe.first_epoch)

    def into(self, name: str, every: float = 60.0) -> dict[str, Any]:
        """Return the request to do it in a folder of that name, with checkpoints that often."""
        folder = self.place / name
        job = self.given["job"] | {"checkpoint_every": every}
        job |= {"file": f"{folder}/scores.npz"} if "networks" in job else {"folder": str(folder)}
        return self.given | {"job": job, "checkpoints": f"{folder}-checkpoints"}

    def contents(self, name: str) -> dict[str, Any]:
        """Return what the files in a folder hold, but for times and versions."""
        folder, found = self.place / name, {}
        for file in folder.rglob("*"):
            place = str(file.relative_to(folder))
            if file.name == "epochs.parquet":
                found[place] = pd.read_parquet(file).drop(columns="seconds").to_csv()
            elif file.name == "run.json":
                record = read_json(file)
                found[place] = {name: record[name] for name in record if name not in VARYING}
            elif file.name == "scores.npz":
                names = ("scores", "spread", "halves")
                arrays, _ = read_npz(file, dict.fromkeys(names, ("f", 3)) | {"spread": ("f", 2)})
                found |= {f"{place}/{name}": array.tobytes() for name, array in arrays.items()}
            elif file.suffix == ".safetensors":  # Its metadata are in no fixed order.
                arrays, meta = read_weights(file)
                found |= {f"{place}/{name}": array.tobytes() for name, array in arrays.items()}
                found[place] = meta
            else:
                found[place] = file.read_bytes() if file.is_file() else None
        return found

    def last(self, name: str) -> Path:
        """Return the file that is written last."""
        return self.place / name / ("scores.npz" if "networks" in self.given["job"] else "run.json")

    def record(self, name: str) -> dict[str, Any]:
        """Return what a finished run says about how it was made."""
        file = self.last(name)
        return read_json(file) if file.suffix == ".json" else read_npz(file, {})[1]

    def checkpoints(self, name: str) -> list[Path]:
        """Return all that is in the folder of the checkpoints."""
        folder = self.place / f"{name}-checkpoints"
        return list(folder.iterdir()) if folder.exists() else []

    def resumable(self, name: str) -> bool:
        """Return whether there is a checkpoint that was written whole."""
        return any(file.suffix == ".safetensors" for file in self.checkpoints(name))


@pytest.fixture
def work(
    server: Server, prepared: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> Callable[..., Work]:
    """Return what makes a run of a kind ready: what it starts from is trained."""

    def given(recipe: Recipe, **job: Any) -> dict[str, Any]:
        files = {"data": str(prepared), "labels": str(prepared / "labels.npz")}
        return {**files, "recipe": recipe.canonical(), "job": {**beginnings(recipe), **job}}

    def beginnings(recipe: Recipe) -> dict[str, str]:
        found = {"left_out": str(prepared / "left_out.npz")} if recipe.left_out else {}
        for name, other in (("start", recipe.previous()), ("early", recipe.early())):
            if other:
                folder = tmp_path / f"{name}-{other.level}"
                if not folder.exists():
                    request = given(other, folder=str(folder), checkpoint_every=60.0)
                    server.finish(request | {"checkpoints": f"{folder}-checkpoints"})
                found[name] = f"{folder}/weights.safetensors"
        return found

    def make(kind: str, epochs: int = 8) -> Work:
        settings = dict(KINDS[kind])
        job, network, training = (
            {name: settings.pop(name) for name in names if name in settings}
            for names in (("networks",), ("width", "dropout"), ("augment", "precision"))
        )
        made = recipe(training={"epochs": epochs, "batch_size": 16, **training}, **settings)
        made = made.model_copy(update={"network": made.network.model_copy(update=network)})
        return Work(made, given(made, **job), tmp_path)

    return make


def disturbed(
    made: Work, server: Server, name: str, kills: int, draw: random.Random, seconds: float
) -> list[Process]:
    """Do a run, in processes of which so many are killed after a random part of some seconds.

    Returns:
        The processes. The last one ended by itself, or after the last write.
    """
    request, processes = made.into(name, every=0.05), []
    while True:
        process = server.start(request)
        processes.append(process)
        if len(processes) <= kills:
            while not ((process.executed() and made.resumable(name)) or made.last(name).exists()):
                time.sleep(0.001)
            time.sleep(draw.random() * seconds)
            with suppress(ProcessLookupError):
                os.kill(process.pid, draw.choice([signal.SIGKILL, signal.SIGTERM]))
        if server.wait(process) == 0 or made.last(name).exists():
            return processes


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments(kind: str, work: Callable[..., Work], server: Server) -> None:
    convolutions = "network" in KINDS[kind]
    made, draw = work(kind, epochs=10 if convolutions else 40), random.Random(kind)
    whole = server.finish(made.into("whole"))
    assert whole.executed() == made.steps
    expected, seconds = made.contents("whole"), made.record("whole")["seconds"]
    statuses: list[int | None] = []
    while len(statuses) < KILLS:
        name = f"killed-{len(statuses)}"
        *killed, last = disturbed(made, server, name, KILLS - len(statuses), draw, seconds)
        if last.status or not killed:
            shutil.rmtree(made.place / name)
            continue
        assert made.contents(name) == expected
        assert not made.checkpoints(name)
        assert 1 < made.record(name)["pieces"] <= 1 + len(killed)
        for process in killed:
            assert process.status in (-signal.SIGKILL, -signal.SIGTERM, 1)
            assert process.status != 1 or "stopped by SIGTERM" in process.log.read_text()
        for process in (*killed[1:], last):
            assert "going on from epoch" in process.log.read_text()
            assert process.executed() < made.steps
        epoch, step = re.findall(r"going on from epoch (\d+), step (\d+)", last.log.read_text())[0]
        done = 6 * (int(epoch) - made.recipe.first_epoch) + int(step)
        assert last.executed() == made.steps - done
        statuses += [process.status for process in killed]
    print(f"{kind}, {seconds} s: exit statuses of killed processes {statuses}")


@pytest.mark.parametrize("kind", ["dense", "level with weights rewound", "el2n"])
def test_killed_at_every_write(kind: str, work: Callable[..., Work], server: Server) -> None:
    """A checkpoint a step; the last move of a file removes it, once all is written."""
    made = work(kind, epochs=3 if kind.startswith("level") else 1)
    whole = server.finish(made.into("whole", every=0.0))
    expected, moves = made.contents("whole"), whole.moves.stat().st_size
    assert moves > made.steps
    for number in range(1, moves + 1):
        for when in ("before", "after"):
            name = f"killed-{when}-{number}"
            killed = server.start(made.into(name, every=0.0), number, when)
            assert server.wait(killed) == -signal.SIGKILL
            resumed = server.finish(made.into(name, every=0.0))
            assert made.contents(name) == expected, name
            assert not made.checkpoints(name), name
            no_checkpoint = name in ("killed-before-1", f"killed-after-{moves}")
            assert (resumed.executed() == made.steps) == no_checkpoint, name
