"""Steps that are recorded once and then replayed, as one CUDA graph, without Python or waiting.

A step can be recorded if all that differs from one step to the next lies in tensors, always the
same ones, and if nothing in it waits for the device. What is decided in Python is decided when the
step is recorded: steps for which it is decided otherwise are of another kind, with a record of
their own.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable

import torch

EAGER = "GST_EAGER"
WARM_UP = 3
"""Steps of a kind before it is recorded; libraries choose their kernels and take memory in them."""

Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Records a step, which it need not carry out, and returns what carries it out again."""


class Replayed:
    """Carries out steps, each kind from its record once there is one.

    Args:
        record: What records a step; None carries every step out as it is.
    """

    def __init__(self, record: Recorder | None) -> None:
        self._record = record
        self._seen: Counter[Hashable] = Counter()
        self._records: dict[Hashable, Callable[[], None]] = {}

    def __call__(self, kind: Hashable, step: Callable[[], None]) -> None:
        """Carry out a step once.

        Args:
            kind: Steps of one kind do the same work on the same tensors.
            step: What it does.
        """
        if self._record is None or self._seen[kind] < WARM_UP:
            self._seen[kind] += 1
            step()
            return
        if kind not in self._records:
            self._records[kind] = self._record(step)
        self._records[kind]()


def recorder(device: torch.device) -> Recorder | None:
    """Return what records steps as CUDA graphs.

    All graphs share their memory: none is carried out while another is, and none leaves a tensor.

    Args:
        device: Where to train.

    Returns:
        The recorder; None on a CPU, or if the environment variable GST_EAGER is 1.
    """
    if device.type != "cuda" or os.environ.get(EAGER) == "1":
        return None
    pool = torch.cuda.graph_pool_handle()

    def record(step: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            step()
        return graph.replay

    return record
