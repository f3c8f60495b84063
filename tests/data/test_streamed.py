"""Processes that decode images, when something is told to stop or hangs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from gst.data.loaded import Stream
from gst.data.streamed import Decoded

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path: Path) -> Decoded:
    files = [f"{number}.png" for number in range(12)]
    for number, file in enumerate(files):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / file)
    return Decoded(Stream(tmp_path, 8), np.array(files, "S"))


@pytest.fixture
def noted() -> Iterator[list[int]]:
    """The signals that came; as in a training, they do nothing else."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_workers_live_on_when_all_of_a_job_is_told_to_stop(images: Decoded, noted: list) -> None:
    batches = [[(example, None)] for example in range(12)]
    before = psutil.Process().children()
    decoded = images.load(batches, 2, CPU)
    seen = [next(decoded)]
    told = [process for process in psutil.Process().children() if process not in before]
    assert len(told) == 2
    for process in (psutil.Process(), *told):
        process.terminate()
    seen += decoded
    assert [int(image[0, 0, 0, 0]) for image in seen] == list(range(12))
    assert noted == [signal.SIGTERM]
    assert not any(process.is_running() for process in told)


HANGING = """
import signal, time
import torch
from gst.data.streamed import Decoded

class Hanging(Decoded):
    def __getitem__(self, item):
        while True:
            time.sleep(60)

def give_up(number, frame):
    raise TimeoutError

signal.signal(signal.SIGTERM, lambda number, frame: None)
signal.signal(signal.SIGALRM, give_up)
signal.alarm(1)
next(Hanging(None, None).load([[(0, None)]], 1, torch.device("cpu")))
"""


def test_a_worker_that_hangs_does_not_keep_a_training_from_ending() -> None:
    command = [sys.executable, "-c", HANGING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stderr.rstrip().endswith("TimeoutError")
