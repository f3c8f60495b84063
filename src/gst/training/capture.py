"""Steps that are captured once, as a CUDA graph, and then replayed without Python or waiting.

A step can be captured if all that differs from one step to the next lies in tensors, always the
same ones, and if nothing in it waits for the device. What is decided in Python is decided when the
step is captured: steps for which it is decided otherwise are of another kind, with a capture of
their own.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable

import torch

EAGER = "GST_EAGER"
WARM_UP = 3
"""Eager steps of a kind before its capture; libraries choose kernels and take memory in them."""

Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Captures a step, which it need not carry out, and returns what replays it."""


class Replayed:
    """Carries out steps, each kind from its capture once it is warm.

    Args:
        capture: What captures a step.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._warm: Counter[Hashable] = Counter()
        self._replays: dict[Hashable, Callable[[], None]] = {}

    def __call__(self, kind: Hashable, step: Callable[[], None]) -> None:
        """Carry out a step once.

        Args:
            kind: Steps of one kind do the same work on the same tensors.
            step: What it does.
        """
        if self._warm[kind] < WARM_UP:
            self._warm[kind] += 1
            step()
            return
        if kind not in self._replays:
            self._replays[kind] = self._capture(step)
        self._replays[kind]()


def graph_capture(device: torch.device) -> Capture | None:
    """Return what captures steps as CUDA graphs.

    All graphs share their memory: one is replayed at a time, and no tensor outlives a replay.

    Args:
        device: Where to train.

    Returns:
        The capture; None on a CPU, or if the environment variable GST_EAGER is 1.
    """
    if device.type != "cuda" or os.environ.get(EAGER) == "1":
        return None
    pool = torch.cuda.graph_pool_handle()

    def capture(step: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            step()
        return graph.replay

    return capture
