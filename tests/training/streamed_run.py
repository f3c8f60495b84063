"""Trains one run in this process, perhaps with others; the tests of streaming launch it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from gst.data.loaded import LabelDraw, load
from gst.recipe import Recipe
from gst.training.checkpoint import Checkpoint
from gst.training.processes import join, leave
from gst.training.run import Job, run


def main(settings: str) -> None:
    given = json.loads(settings)
    torch.set_num_threads(1)
    processes = join()
    if given["stop"] and processes.rank == processes.size - 1:
        pause, calls = Checkpoint.pause, []

        def stop(self, state):  # type: ignore[no-untyped-def]
            calls.append(state.step)
            self.every = 0.0
            if len(calls) == given["stop"]:
                os.kill(os.getpid(), given["signal"])
            pause(self, state)

        Checkpoint.pause = stop  # type: ignore[method-assign]
    dataset = load(given["data"], given["root"])
    labels = dataset.train.labels[None]
    job = Job(
        recipe=Recipe.parse(json.dumps(given["recipe"])),
        seeds=(4,),
        folder=Path(given["folder"]),
        checkpoint=Path(given["folder"] + ".safetensors"),
        code="c0de",
        device=torch.device("cpu"),
        processes=processes,
    )
    run(job, dataset, LabelDraw(labels, labels < 0, (4,)))
    leave()


if __name__ == "__main__":
    main(sys.argv[1])
