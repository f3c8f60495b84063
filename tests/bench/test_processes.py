from __future__ import annotations

import pytest
import torch

from gst.bench import processes
from gst.training.loop import TrainingState


def test_a_process_makes_as_many_steps_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps over epochs of three, with a call of `pause` between them that is no step."""
    made = []
    whole = processes.run

    def run(*arguments: object, **options: object) -> None:
        *start, pause = arguments

        def watched(state: TrainingState) -> None:
            made.append((state.epoch, state.step))
            pause(state)

        whole(*start, watched, **options)

    monkeypatch.setattr(processes, "run", run)
    short = processes.synthetic((1, 8, 8), 3)
    monkeypatch.setattr(processes, "synthetic", lambda shape: short)
    processes._train("lenet-digits", 2, 4, "eager", None, torch.get_num_threads())
    assert made == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]


def test_start_is_counted_in() -> None:
    taken = processes.seconds("lenet-digits", 1, 1, torch.device("cpu"))
    assert taken > 0.5, "Python and torch alone take longer to start"


def test_a_process_that_fails_is_not_timed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="training lenet-digit in a process of its own failed"):
        processes.seconds("lenet-digit", 1, 1, torch.device("cpu"))
    assert "no 'lenet-digit' among models" in capfd.readouterr().err
