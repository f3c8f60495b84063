from __future__ import annotations

import numpy as np
import pytest
import torch

from gst.bench import plain
from gst.bench.cohorts import synthetic
from gst.data.device import Normalise

CPU = torch.device("cpu")


def test_images_are_normalised_as_the_engine_does() -> None:
    data = synthetic((1, 8, 8), 1)
    image, label = plain.Images(data)[3]
    expected = Normalise(data.mean, data.std)(torch.from_numpy(data.train.images[3]))
    torch.testing.assert_close(image, expected)
    assert label == data.train.labels[3]


def test_images_in_colour_are_flipped_and_shifted_by_up_to_four_pixels() -> None:
    """One bright pixel is found at every place that a shift and a flip can bring it to."""
    data = synthetic((3, 32, 32), 1)
    data.train.images[0] = 0
    data.train.images[0, :, 16, 10] = 255
    images = plain.Images(data)
    torch.manual_seed(0)
    places = {tuple(np.argwhere(images[0][0][0].numpy() > 0)[0]) for _ in range(1500)}
    columns = {column + shift for column in (10, 21) for shift in range(-4, 5)}
    assert places == {(row, column) for row in range(12, 21) for column in columns}


def test_the_fastest_number_of_workers_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {0: 5.0, 1: 6.0, 2: 3.0, 4: 4.0}
    monkeypatch.setattr(plain, "seconds_per_step", lambda *_, workers: taken[workers])
    assert plain.best("lenet", synthetic((1, 8, 8), 1), CPU, 1, cores=6) == (2, 3.0)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loop_trains(workers: int) -> None:
    data = synthetic((1, 8, 8), 2)
    assert plain.seconds_per_step("lenet-digits", data, CPU, 0.02, workers=workers) > 0
