from __future__ import annotations

import pytest

from gst.planning.networks import footprint
from gst.recipe import Network


def test_a_dense_network() -> None:
    """LeNet-300-100 on 28x28 images, by hand."""
    found = footprint(Network(name="lenet"), 10, (1, 28, 28))
    weights = 784 * 300 + 300 * 100 + 100 * 10
    assert found.operations == 2 * weights
    assert found.state_bytes == 4 * (weights + 410)
    assert found.prunable == weights


def test_half_the_width_keeps_inputs_and_classes() -> None:
    found = footprint(Network(name="lenet", width=0.5), 10, (1, 28, 28))
    assert found.operations == 2 * (784 * 150 + 150 * 50 + 50 * 10)


def test_the_last_layer_is_not_prunable_where_the_network_keeps_it() -> None:
    whole, kept = (
        footprint(Network(name="lenet", keep_last_layer=kept), 10, (1, 28, 28))
        for kept in (False, True)
    )
    assert whole.operations == kept.operations
    assert whole.prunable - kept.prunable == 100 * 10


def test_a_convolutional_network() -> None:
    """3x3 convolutions on 8x8, 4x4 and 2x2 pixels, and a dense layer on one pixel."""
    layers = [(1, 16, 64), (16, 32, 64), (32, 32, 16), (32, 64, 16), (64, 64, 4)]
    found = footprint(Network(name="vgg-digits"), 10, (1, 8, 8))
    assert found.operations == 2 * (sum(9 * a * b * pixels for a, b, pixels in layers) + 640)
    weights = sum(9 * a * b for a, b, _ in layers) + 640
    filters = sum(b for _, b, _ in layers)
    # Biases, and of each batch norm scale, shift, mean, variance and the number of batches.
    assert found.state_bytes == 4 * (weights + 10 + 5 * filters) + 8 * len(layers)
    assert found.prunable == weights


def test_resnet50_is_as_costly_as_published() -> None:
    """4.1e9 multiply-adds on 224x224 pixels (its version with the stride in the 3x3 layer)."""
    found = footprint(Network(name="resnet50"), 1000, (3, 224, 224))
    assert found.operations / 2 == pytest.approx(4.1e9, rel=0.01)
