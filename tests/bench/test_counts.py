from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from gst import models
from gst.bench.cohorts import BATCH, shape_of
from gst.bench.counts import count
from gst.recipe import Network


def test_a_dense_network_by_hand() -> None:
    """Three products a layer, two of the first; each touches inputs, weights and outputs once."""
    layers = [(64, 100, 2), (100, 50, 3), (50, 10, 3)]
    found = count("lenet-digits", "float32", (1, 8, 8), batch=7)
    assert found.forward_operations_per_image == 2 * sum(a * b for a, b, _ in layers)
    assert found.training_operations_per_image == 2 * sum(n * a * b for a, b, n in layers)
    moved = sum(n * (7 * (a + b) + a * b) for a, b, n in layers)
    assert found.parameters == sum(a * b + b for a, b, _ in layers)
    assert found.bytes_per_step == 4 * moved + 5 * 4 * found.parameters


def test_in_bf16_all_but_the_optimisers_numbers_are_half_as_long() -> None:
    wide, half = (count("vgg-digits", p, (1, 8, 8)) for p in ("float32", "bf16"))
    optimiser = 5 * 4 * wide.parameters
    assert half.bytes_per_step - optimiser == (wide.bytes_per_step - optimiser) // 2
    assert half.training_operations_per_image == wide.training_operations_per_image


def test_batch_norms_move_and_do_not_compute() -> None:
    """Of vgg-digits: five convolutions, each with a batch norm on its output, a dense layer."""
    convolutions = [(1, 16, 64, 2), (16, 32, 64, 3), (32, 32, 16, 3), (32, 64, 16, 3)]
    convolutions.append((64, 64, 4, 3))
    found = count("vgg-digits", "bf16", (1, 8, 8), batch=1)
    computed = sum(n * 9 * a * b * pixels for a, b, pixels, n in convolutions) + 3 * 640
    assert found.training_operations_per_image == 2 * computed
    moved = sum(n * ((a + b) * pixels + 9 * a * b) for a, b, pixels, n in convolutions)
    moved += sum(3 * (2 * b * pixels + b) for _, b, pixels, _ in convolutions)
    moved += 3 * (64 + 10 + 640)
    assert found.bytes_per_step == 2 * moved + 20 * found.parameters


@pytest.mark.parametrize("network", ["lenet", "vgg-digits", "resnet20"])
def test_operations_are_those_that_torch_counts(network: str) -> None:
    shape, batch = shape_of(network), 2
    module = models.build(Network(name=network), 10, shape, torch.Generator())
    with FlopCounterMode(display=False) as counter:
        logits = module(torch.zeros(batch, *shape))
        F.cross_entropy(logits, torch.zeros(batch, dtype=torch.int64)).backward()
    found = count(network, "float32", shape)
    assert counter.get_total_flops() == batch * found.training_operations_per_image


def test_a_step_is_of_the_benchmarks_batch() -> None:
    small, large = (
        count("lenet-digits", "float32", (1, 8, 8), batch=b).bytes_per_step for b in (1, 2)
    )
    found = count("lenet-digits", "float32", (1, 8, 8)).bytes_per_step
    assert found == small + (BATCH - 1) * (large - small)
