"""What README.md shows works as it is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the README's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_results_are_read_without_gst(finished) -> None:
    reading = next(block for block in blocks("python") if "runs.parquet" in block)
    assert "import gst" not in reading
    shorter = reading.replace("seeds-0-2", "seeds-0-1")
    done = subprocess.run(
        [sys.executable, "-c", shorter],
        cwd=finished.root,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loss = re.search(r"mean loss of wrongly labelled examples: ([\d.]+)$", done.stdout)
    assert loss and float(loss[1]) > 0


def test_additions_are_one_file_each(clone) -> None:
    added = []
    for block in [*blocks("yaml"), *blocks("python")]:
        if place := re.match(r"# ((?:config|src)/\S+)\n", block):
            added.append(clone.root / place[1])
            added[-1].write_text(block)
    assert {path.name for path in added} == {"digits-half.yaml", "perceptron.py", "relative.py"}
    study = {
        "name": "added",
        "benchmarks": {
            "digits-half": {
                "network": {"name": "perceptron"},
                "pruning": {"kind": "weights", "score": "relative"},
                "training": {"epochs": 2},
                "el2n": {"epoch": 1},
            }
        },
    }
    run = "results/runs/regularization/digits-half/noise-0/pruned/level-01/seeds-0-2/run.json"
    try:
        clone.succeed(run, "--configfile", clone.write(study))
    finally:
        for path in added:
            path.unlink()
    assert (clone.root / run).exists()
