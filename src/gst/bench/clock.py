"""Times steps on a device that may run behind the host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median

import torch

LAPS = 10
"""Laps that the time is divided into."""
LEAST = 2
"""Laps that count at least, however long they take."""


class TooSlow(Exception):
    """A step takes longer than it may."""


class Stopwatch:
    """Times steps in laps, and says when it has seen enough.

    A lap is as many steps as fit into a tenth of the time, and at least one. The first lap warms
    up and does not count. The device is waited for at the ends of laps only, so that it stays busy
    from step to step.

    Args:
        device: What computes.
        seconds: Time to measure for.
        warm_up: Steps of the first lap at least.
        longest: Seconds that a step may take.
    """

    def __init__(
        self,
        device: torch.device,
        seconds: float,
        *,
        warm_up: int = 1,
        longest: float = math.inf,
    ) -> None:
        self.device, self.seconds, self.longest = device, seconds, longest
        self.laps: list[float] = []
        self._least, self._warm, self._spent = warm_up, False, 0.0
        self._start()

    def _start(self) -> None:
        self._steps, self._started = 0, time.perf_counter()

    def step(self) -> bool:
        """Count a step that was just given to the device; return whether that is enough.

        Raises:
            TooSlow: If the steps of the first lap took longer than a step may.
        """
        self._steps += 1
        lasted = time.perf_counter() - self._started
        if lasted < self.seconds / LAPS or self._steps < self._least:
            return False
        synchronise(self.device)
        lasted = time.perf_counter() - self._started
        if self._warm:
            self.laps.append(lasted / self._steps)
            self._spent += lasted
        elif lasted / self._steps > self.longest:
            raise TooSlow(f"a step takes {lasted / self._steps:.0f} s")
        self._least, self._warm = 1, True
        self._start()
        return self._spent >= self.seconds and len(self.laps) >= LEAST

    @property
    def seconds_per_step(self) -> float:
        """The time of a step: the median over laps."""
        return median(self.laps)


def seconds_each(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return how long something takes, done again and again for some seconds."""
    watch = Stopwatch(device, seconds)
    while True:
        work()
        if watch.step():
            return watch.seconds_per_step


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
