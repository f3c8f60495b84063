"""Training on a GPU that computes nothing: whether it asks a GPU only for what it may.

Everything but the arithmetic is real: torch's own code for CUDA, its streams, memory and graphs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gst.training.capture import WARM_UP

HERE = Path(__file__).parent
CUDA = "13"
"""Version of CUDA that the null GPU knows."""
SCHEDULE = {"fractions": [0.3, 0.5], "first_epochs": [0, 1], "last_epochs": [4, 4], "period": 2}
FILTERS = {"kind": "filters", "target": "S", "score": "activations", **SCHEDULE}
NOISE = {"kind": "noise", "target": "S", "noise": "zero", "batches": 30, **SCHEDULE}
ADAM = {"optimiser": {"kind": "adam", "lr": 0.01, "weight_decay": 0.01}}
CASES: dict[str, dict[str, Any]] = {
    "lenet": {"model": "lenet-digits"},
    "lenet, 8": {"model": "lenet-digits", "replicates": 8},
    "lenet, 2, bf16": {"model": "lenet-digits", "replicates": 2, "precision": "bf16"},
    "lenet, 2, adam": {"model": "lenet-digits", "replicates": 2, "training": ADAM},
    "vgg, 2, dropout": {"model": "vgg-digits", "replicates": 2, "network": {"dropout": 0.5}},
    "vgg, 2, filters": {"model": "vgg-digits", "replicates": 2, "intervention": FILTERS},
    "vgg, 2, bf16": {"model": "vgg-digits", "replicates": 2, "precision": "bf16"},
    "vgg, noise": {"model": "vgg-digits", "intervention": NOISE},
    "resnet": {"model": "resnet20"},
    "resnet, 2, bf16": {"model": "resnet20", "replicates": 2, "precision": "bf16"},
    "resnet, 8": {"model": "resnet20", "replicates": 8},
}


@pytest.fixture(scope="session")
def null_gpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the null GPU; skips where it cannot be built."""
    headers = Path(torch.__file__).parents[1] / "nvidia" / f"cu{CUDA}" / "include"
    compiler = shutil.which("g++")
    if not (torch.version.cuda or "").startswith(f"{CUDA}.") or not headers.is_dir():
        pytest.skip(f"needs a torch for CUDA {CUDA} (Linux), and its headers")
    if compiler is None:
        pytest.skip("needs g++")
    made = tmp_path_factory.mktemp("null_gpu") / "libcuda.so.1"
    flags = ["-std=c++20", "-O1", "-fPIC", "-shared", f"-Wl,-soname,{made.name}", "-o", str(made)]
    includes = [f"-I{HERE / 'include'}", f"-I{headers}"]
    subprocess.run([compiler, *flags, *includes, HERE / "runtime.cpp"], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "GST_EAGER"}
    return environment | {"LD_PRELOAD": str(made)}


def on_null_gpu(environment: dict[str, str], *asked: tuple[str, dict[str, Any]]) -> list[Any]:
    """Return what came of each action there."""
    command = [sys.executable, HERE / "on_null_gpu.py", json.dumps(asked)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def made(null_gpu: dict[str, str]) -> dict[str, Any]:
    """What the steps of each case asked of the null GPU."""
    found = on_null_gpu(null_gpu, *[("steps", case) for case in CASES.values()])
    return dict(zip(CASES, found, strict=True))


def test_the_null_gpu_knows_the_rules_of_capture(null_gpu: dict[str, str]) -> None:
    (found,) = on_null_gpu(null_gpu, ("rules", {}))
    assert [action for action, allowed in found.items() if allowed] == ["work", "fork and join"]


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_step_is_captured_once_and_then_one_launch(
    case: str, made: dict[str, Any]
) -> None:
    kinds, calls = made[case]["kinds"], made[case]["calls"]
    replayed = [call for call in calls if call["replays"]]
    assert sum(call["captures"] for call in calls) == kinds >= 2
    assert len(replayed) == len(calls) - WARM_UP * kinds > 0
    for call in replayed:
        if not call["captures"]:
            assert (call["launches"], call["waits"]) == (1, 0)


def test_replicates_are_branches_that_make_no_path_longer(made: dict[str, Any]) -> None:
    one, eight = made["resnet"]["graph"], made["resnet, 8"]["graph"]
    assert eight["depth"] == one["depth"] == one["nodes"]
    assert eight["streams"] >= 8 and one["streams"] == 1
    assert 7 < eight["nodes"] / one["nodes"] < 8


def test_stacked_replicates_take_no_more_kernels(made: dict[str, Any]) -> None:
    one, eight = (made[case]["graph"]["nodes"] for case in ("lenet", "lenet, 8"))
    assert eight <= one + 5  # One replicate's products add the bias and apply the ReLU themselves.


def test_a_run_from_beginning_to_end(null_gpu: dict[str, str]) -> None:
    (found,) = on_null_gpu(null_gpu, ("trained", {}))
    assert found["captures"] == 2 and found["rows"] == 2 * 7
