"""What the tests do on the null GPU, in a process that has it; prints JSON."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch

from gst.bench.agreement import dataset, recipe
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.capture import graph_capture
from gst.training.hardware import device
from gst.training.loop import DeviceData, TrainingState, train
from gst.training.processes import ALONE
from gst.training.steps import Steps

EPOCHS = 6


class Counts(ctypes.Structure):
    """Calls so far, and the graph that was captured last."""

    _fields_ = [
        (name, ctypes.c_long)
        for name in ("launches", "waits", "replays", "captures", "nodes", "depth", "streams")
    ]


_counts = ctypes.CDLL(os.environ["LD_PRELOAD"]).null_counts
_counts.restype = Counts


def counts() -> dict[str, int]:
    """Return the counts as they are now."""
    found = _counts()
    return {name: getattr(found, name) for name, _ in Counts._fields_}


def rules() -> dict[str, bool]:
    """Return what a capture may do."""
    x, side = torch.zeros(4, device="cuda"), torch.cuda.Stream()

    def beside() -> None:
        with torch.cuda.stream(side):
            x.add_(1)

    def forked() -> None:
        side.wait_stream(torch.cuda.current_stream())
        beside()

    def joined() -> None:
        forked()
        torch.cuda.current_stream().wait_stream(side)

    actions: dict[str, Callable[[], Any]] = {
        "work": lambda: x.add_(1),
        "fork and join": joined,
        "fork": forked,
        "work outside": beside,
        "read": lambda: x.sum().item(),
        "find": lambda: x.nonzero(),
        "copy from pinned memory": lambda: x.copy_(torch.ones(4).pin_memory(), non_blocking=True),
        "wait": torch.cuda.synchronize,
    }
    return {name: captured(action) for name, action in actions.items()}


def captured(action: Callable[[], Any]) -> bool:
    """Return whether an action can be captured."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            action()
    except RuntimeError:
        return False
    return True


def begun(made: Recipe, replicates: int) -> tuple[TrainingState, DeviceData]:
    """Return a run before its first step, and its data."""
    found, seeds = dataset(), range(replicates)
    labels = np.stack([found.train.labels] * len(seeds))
    data = DeviceData.load(found, labels, made.training, device(1))
    return TrainingState(made, seeds, 10, found.shape, data.trained, device(1)), data


def steps(model: str, replicates: int = 1, precision: str = "float32", **changes: Any) -> Any:
    """Make the steps of some epochs, and return what each asked of the GPU.

    Epochs do not end: what pruning decides there, it reads from a GPU that computes.

    Args:
        model: Name of the network.
        replicates: How many of it.
        precision: Of the arithmetic.
        changes: The keys of a recipe, which is parsed again with them.
    """
    value = json.loads(recipe(model, precision, EPOCHS).model_dump_json())
    for name, change in changes.items():
        value[name] = {**value[name], **change} if value[name] else change
    made = Recipe.parse(json.dumps(value))
    state, data = begun(made, replicates)
    acting = interventions.make(made)
    acting.attach(state)
    if made.intervention:
        state.set_masks(
            {n: torch.ones_like(w, dtype=torch.bool) for n, w in state.cohort.weights.items()}
        )
    state.cohort.train()
    making = Steps(state, ALONE, graph_capture(state.cohort.device))
    kinds: set[Hashable] = set()
    calls = []
    for state.epoch in range(EPOCHS):
        batches = data.epoch(made, state.seeds, state.epoch)
        state.step = 0
        making.begin(batches)
        for state.step in range(len(batches)):
            kind = acting.kind(state)
            kinds.add((kind, state.step == len(batches) - 1))
            before = counts()
            making.make(kind)
            calls.append({name: n - before[name] for name, n in counts().items()})
    last = counts()
    graph = {name: last[name] for name in ("nodes", "depth", "streams")}
    return {"kinds": len(kinds), "calls": calls, "graph": graph}


def trained() -> dict[str, int]:
    """Train a cohort from beginning to end, and return the calls."""
    made = recipe("lenet-digits", "float32", EPOCHS)
    state, data = begun(made, 2)
    train(state, data, interventions.make(made), capture=graph_capture(state.cohort.device))
    return {**counts(), "rows": len(state.rows)}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    actions = {"rules": rules, "steps": steps, "trained": trained}
    print(json.dumps([actions[name](**options) for name, options in asked]), flush=True)
    os._exit(0)  # Torch's threads do not all end on a GPU that is none.
