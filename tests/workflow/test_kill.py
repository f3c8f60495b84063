"""A job that is stopped goes on where it was, to the same result."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import psutil

from gst.artifacts import read_weights

RUN = "runs/regularization/digits-lenet/noise-40/dense/level-00/seeds-0-1"


def wait_for(condition, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stopped_job_goes_on_from_its_checkpoint(clone, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["training"]["epochs"] = 600
    stopped = clone.write(tiny | {"name": "stopped", "results": "stopped"})
    whole = clone.write(tiny | {"name": "whole", "results": "whole"})
    log = clone.root / f"stopped/logs/{RUN}.log"
    weights = clone.root / f"stopped/{RUN}/weights.safetensors"
    snakemake = [sys.executable, "-m", "snakemake", f"stopped/{RUN}/run.json"]
    with subprocess.Popen(
        [*snakemake, "--configfile", stopped],
        cwd=clone.root,
        env={**os.environ, "PYTHONPATH": str(clone.root / "src"), "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as process:
        wait_for(lambda: log.exists() and "epoch 20/600" in log.read_text())
        jobs = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if child.cmdline()[-1].endswith("train.py")
        ]
        assert len(jobs) == 1
        jobs[0].terminate()
        assert process.wait() != 0
    assert "stopped by SIGTERM" in log.read_text()
    assert list((clone.root / "stopped/checkpoints").rglob("*.safetensors"))
    assert not weights.exists()

    clone.succeed(f"stopped/{RUN}/run.json", "--configfile", stopped)
    clone.succeed(f"whole/{RUN}/run.json", "--configfile", whole)
    assert "going on from epoch" in log.read_text()
    assert "epoch 19/600" not in log.read_text()
    assert not list((clone.root / "stopped/checkpoints").rglob("*.safetensors"))
    found, _ = read_weights(weights)
    expected, _ = read_weights(clone.root / f"whole/{RUN}/weights.safetensors")
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
