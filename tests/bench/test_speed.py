"""The benchmark's parts measure what they say, on a few images."""

from __future__ import annotations

from gst.bench import speed


def test_a_cohort_makes_as_many_steps_as_its_data_has_batches() -> None:
    dataset = speed.synthetic((1, 8, 8), 2 * speed.BATCH)
    seconds = speed.trainer("lenet-digits", 2, dataset, epochs=3)()
    assert len(seconds) == 3
    assert speed.steps_a_second("lenet-digits", 2, dataset) > 0


def test_the_plain_loop_and_the_products_alone() -> None:
    dataset = speed.synthetic((1, 8, 8), 2 * speed.BATCH)
    assert speed.plain_steps_a_second("lenet-digits", dataset, workers=[0]) > 0
    assert speed.products_a_second("lenet-digits", (1, 8, 8)) > 0
