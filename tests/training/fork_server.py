"""Forks a process that trains whenever it is told to, from one that has everything imported.

The tests of kills talk to it: a line of JSON on its input starts a process, whose id is a line of
its output, and whose exit status is another once it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import torch

from gst.data.loaded import load, load_labels
from gst.measures.influence import Scoring, score_examples
from gst.recipe import Recipe
from gst.training.run import Job, run
from gst.training.steps import Steps

assert pyarrow.parquet  # Imported by a run only when it writes.


def count_steps(file: str) -> None:
    """Let every step that is executed add a byte to a file."""
    opened = os.open(file, os.O_WRONLY | os.O_CREAT)
    make = Steps.make

    def counted(self: Steps, kind: Hashable) -> None:
        make(self, kind)
        os.write(opened, b".")

    Steps.make = counted  # type: ignore[method-assign]


def count_moves(file: str, last: int, when: str) -> None:
    """Let every file that is put in its place or removed add a byte to a file.

    Args:
        file: Where they are counted.
        last: Number of the one that kills the process, from 1; none if 0.
        when: "before" or "after" it is done.
    """
    opened, done = os.open(file, os.O_WRONLY | os.O_CREAT), [0]

    def counted(move: Callable[..., Any]) -> Callable[..., Any]:
        def moving(*arguments: Any, **options: Any) -> Any:
            done[0] += 1
            if done[0] == last and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = move(*arguments, **options)
            os.write(opened, b".")
            if done[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return moving

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]


def work(given: dict[str, Any]) -> None:
    """Do one job; `given` holds its fields, and what to note."""
    log = os.open(given["log"], os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    count_steps(given["steps"])
    count_moves(given["moves"], given["last"], given["when"])
    dataset, labels = load(given["data"]), load_labels(given["labels"])
    fields = {
        name: Path(value) if name in ("folder", "file", "start", "early", "left_out") else value
        for name, value in given["job"].items()
    }
    fields |= {
        "recipe": Recipe.parse(given["recipe"]),
        "code": "c0de",
        "device": torch.device("cpu"),
    }
    if "networks" in fields:
        score_examples(Scoring(**fields, checkpoints=Path(given["checkpoints"])), dataset, labels)
    else:
        checkpoint = Path(given["checkpoints"], "run.safetensors")
        run(Job(**fields, seeds=labels.seeds, checkpoint=checkpoint), dataset, labels)


def main() -> None:
    """Serve until the input ends."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                work(json.loads(line))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main()
