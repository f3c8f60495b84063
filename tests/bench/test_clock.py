from __future__ import annotations

import time

import pytest
import torch

from gst.bench.clock import Stopwatch, TooSlow, seconds_each

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a clock that stands: its one entry is the time."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def steps(watch: Stopwatch, clock: list[float], *seconds: float) -> list[bool]:
    """Make steps that take so long; return what the watch says after each."""
    found = []
    for one in seconds:
        clock[0] += one
        found.append(watch.step())
    return found


def test_the_median_of_laps_counts_and_warming_up_does_not(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 4)
    assert steps(watch, clock, 999, 50, 1, 1, 9) == [False] * 4 + [True]
    assert watch.laps == [1, 1, 9]
    assert watch.seconds_per_step == 1


def test_a_lap_is_as_many_steps_as_fit_into_a_tenth_of_the_time(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 10)
    warm = steps(watch, clock, 50, *[0.25] * 4)
    assert not any(warm)
    assert watch.laps == []
    laps = steps(watch, clock, *[0.25] * 40)
    assert laps == [False] * 39 + [True]
    assert watch.laps == [0.25] * 10


def test_the_device_is_waited_for_at_the_ends_of_laps(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is behind by five seconds a step, as the host only sees when it waits."""
    watch, given = Stopwatch(CPU, 100), [0]

    def wait(device: torch.device) -> None:
        clock[0] += 5 * given[0]
        given[0] = 0

    monkeypatch.setattr("gst.bench.clock.synchronise", wait)
    enough, made = False, 0
    while not enough:
        given[0] += 1
        made += 1
        enough = watch.step()
    assert watch.laps == [5.0] * 10
    assert made == 1 + 2 + 10 * 2


def test_two_laps_count_however_long_they_take(clock: list[float]) -> None:
    assert steps(Stopwatch(CPU, 1), clock, *[100] * 4) == [False] * 3 + [True]


def test_warming_up_can_take_several_steps(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 2, warm_up=3)
    assert steps(watch, clock, 50, 50, 50, 1, 1, 1) == [False] * 5 + [True]
    assert watch.laps == [1, 1]


def test_a_step_that_takes_too_long_is_refused(clock: list[float]) -> None:
    """Only the first may take longer: it comes with all that is made before it."""
    watch = Stopwatch(CPU, 1, longest=20)
    assert steps(watch, clock, 99) == [False]
    with pytest.raises(TooSlow, match="a step takes 21 s"):
        steps(watch, clock, 21)


def test_work_is_timed() -> None:
    assert 0.01 <= seconds_each(lambda: time.sleep(0.01), CPU, 0.05) < 0.1
