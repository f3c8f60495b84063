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


def test_the_median_of_laps_counts_and_the_first_lap_does_not(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 4)
    enough = []
    for seconds in (50, 1, 1, 9):
        clock[0] += seconds
        enough.append(watch.step())
    assert enough == [False, False, False, True]
    assert watch.laps == [1, 1, 9]
    assert watch.seconds_per_step == 1


def test_a_lap_is_as_many_steps_as_fit_into_a_tenth_of_the_time(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 10)
    steps = 1
    clock[0] += 0.25
    while not watch.step():
        clock[0] += 0.25
        steps += 1
    assert watch.laps == [0.25] * 10
    assert steps == 11 * 4


def test_two_laps_count_however_long_they_take(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 1)
    for number in range(3):
        clock[0] += 100
        assert watch.step() == (number == 2)


def test_warming_up_can_take_several_steps(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 2, warm_up=3)
    for seconds in (50, 50, 50, 1, 1):
        clock[0] += seconds
        enough = watch.step()
    assert enough
    assert watch.laps == [1, 1]


def test_a_step_that_takes_too_long_is_refused(clock: list[float]) -> None:
    watch = Stopwatch(CPU, 1, longest=20)
    clock[0] += 21
    with pytest.raises(TooSlow, match="a step takes 21 s"):
        watch.step()


def test_work_is_timed() -> None:
    assert 0.01 <= seconds_each(lambda: time.sleep(0.01), CPU, 0.05) < 0.1
