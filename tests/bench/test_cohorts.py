from __future__ import annotations

import pytest
import torch

from gst.bench import ceilings, cohorts
from gst.bench.clock import TooSlow
from gst.training.loop import TrainingState

CPU = torch.device("cpu")


def test_a_cohort_trains_until_it_is_enough() -> None:
    places = []

    def pause(state: TrainingState) -> None:
        places.append((state.epoch, state.step))
        if len(places) == 4:
            raise cohorts.Enough

    cohorts.run("lenet-digits", 3, cohorts.synthetic((1, 8, 8), 2), CPU, pause)
    assert places == [(0, 1), (0, 2), (1, 0), (1, 1)]


def test_precision_and_optimiser_reach_the_recipe() -> None:
    found = cohorts.settings("resnet20", "bf16").training
    assert (found.precision, found.augment, found.batch_size) == ("bf16", "flip-crop", 128)
    assert found.optimiser.momentum == 0.9
    assert cohorts.settings("lenet", "float32").training.augment == "none"


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_speeds_are_positive(precision: cohorts.Precision) -> None:
    data = cohorts.synthetic((1, 8, 8), 2)
    place = data, CPU, 0.02
    assert cohorts.seconds_per_step("vgg-digits", 2, *place, precision=precision) > 0
    assert cohorts.evaluated_per_second("vgg-digits", *place, precision=precision) > 0


@pytest.mark.parametrize("augment", ["none", "flip-crop"])
def test_batches_are_timed(augment: str) -> None:
    assert cohorts.seconds_per_batch(cohorts.synthetic((3, 32, 32), 2), augment, CPU, 0.02) > 0


def test_a_step_that_takes_too_long_ends_the_measurement() -> None:
    data = cohorts.synthetic((1, 8, 8), 2)
    with pytest.raises(TooSlow):
        cohorts.seconds_per_step("lenet-digits", 1, data, CPU, 0.02, longest=1e-6)


def test_ceilings() -> None:
    found = ceilings.product("float32", CPU, 0.02, sizes=(4, 256))
    assert found.size == 256
    assert found.operations_per_second > 0
    assert ceilings.copy(CPU, 0.02, bytes_=2**20).bytes_per_second > 0
