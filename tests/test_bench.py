"""The benchmark's parts measure what they say, on a few images."""

from __future__ import annotations

from gst import bench


def test_a_cohort_makes_as_many_steps_as_its_data_has_batches() -> None:
    dataset = bench.synthetic((1, 8, 8), 2 * bench.BATCH)
    seconds = bench.trainer("lenet-digits", 2, dataset, epochs=3)()
    assert len(seconds) == 3
    assert bench.steps_a_second("lenet-digits", 2, dataset) > 0


def test_the_plain_loop_and_the_products_alone() -> None:
    dataset = bench.synthetic((1, 8, 8), 2 * bench.BATCH)
    assert bench.plain_steps_a_second("lenet-digits", dataset, workers=[0]) > 0
    assert bench.products_a_second("lenet-digits", (1, 8, 8)) > 0
