"""Times steps on a device that may run behind the host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from statistics import median

import torch

LAPS = 10
"""Laps that fill the time."""
LEAST = 2
"""Laps that count at least, however long they take."""


class TooSlow(Exception):
    """A step takes longer than it may."""


class Stopwatch:
    """Times steps in laps, and says when it has seen enough.

    The clock starts at the end of the first step. Then come steps that warm up, each timed by
    itself, for a tenth of the time. A lap is as many steps as should take that long, and at least
    one. The device is waited for at the ends of laps only, so that it stays busy from step to step.

    Args:
        device: What computes.
        seconds: Time to measure for.
        warm_up: Steps that warm up after the first, at least.
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
        self.device, self.seconds, self.warm_up, self.longest = device, seconds, warm_up, longest
        self.laps: list[float] = []
        self._watch = self._measure()

    def step(self) -> bool:
        """Count a step that was just given to the device; return whether that is enough.

        Raises:
            TooSlow: If a step takes longer than it may.
        """
        return next(self._watch)

    def _measure(self) -> Generator[bool]:
        """Yield after each step whether that is enough."""
        synchronise(self.device)
        warm: list[float] = []
        while len(warm) < self.warm_up or sum(warm) < self.seconds / LAPS:
            warm.append((yield from self._time(1)))
        fastest = min(warm)
        if fastest > self.longest:
            raise TooSlow(f"a step takes {fastest:.0f} s")
        steps = max(1, int(self.seconds / LAPS / fastest))
        while len(self.laps) < LEAST or steps * sum(self.laps) < self.seconds:
            self.laps.append((yield from self._time(steps)))
        yield True

    def _time(self, steps: int) -> Generator[bool, None, float]:
        """Wait for some more steps; return how long one took."""
        started = time.perf_counter()
        for _ in range(steps):
            yield False
        synchronise(self.device)
        return (time.perf_counter() - started) / steps

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
