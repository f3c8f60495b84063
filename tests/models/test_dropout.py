"""Dropout of a dense layer's inputs."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gst import models
from gst.models.dropout import Dropout
from gst.recipe import Network

SHAPE = (1, 8, 8)


def built(name: str, dropout: float = 0.5) -> nn.Module:
    network = Network.parse(json.dumps({"name": name, "width": 0.3, "dropout": dropout}))
    return models.build(network, 3, SHAPE, torch.Generator().manual_seed(0))


@given(st.integers(0, 2**63 - 1), st.sampled_from([0.1, 0.5, 0.9]))
def test_entries_go_or_grow(key: int, probability: float) -> None:
    dropout = Dropout(probability, features=30)
    dropout.draw(key, 400)
    x = torch.rand(400, 30) + 1
    y = dropout(x)
    kept = y != 0
    torch.testing.assert_close(y[kept], x[kept] / (1 - probability))
    # Six standard deviations of a mean over 12,000 draws.
    deviation = (probability * (1 - probability) / kept.numel()) ** 0.5
    assert kept.double().mean().item() == pytest.approx(1 - probability, abs=6 * deviation)
    assert torch.equal(dropout(x), y)
    dropout.draw((key + 1) % 2**63, 400)
    assert not torch.equal(dropout(x), y)


@pytest.mark.parametrize("name", ["lenet-digits", "vgg-digits", "resnet20", "resnet50"])
def test_it_acts_on_the_last_dense_layer_while_training(name: str) -> None:
    module, without = built(name), built(name, dropout=0)
    assert module.state_dict().keys() == without.state_dict().keys()
    assert all(map(torch.equal, module.parameters(), without.parameters()))
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    images = torch.randn(4, *SHAPE)
    inputs = []
    last.register_forward_pre_hook(lambda _layer, given: inputs.append(given[0].detach()))
    last.dropout.draw(0, len(images))
    module(images)
    without(images)
    assert torch.equal(module.eval()(images), without.eval()(images))
    dropped, whole = inputs
    assert dropped.shape == (4, last.in_features) == whole.shape
    assert ((dropped == 0) & (whole != 0)).any() and (dropped != 0).any()


def test_a_copy_has_dropout_of_its_own() -> None:
    module = built("lenet-digits")
    twin = copy.deepcopy(module).eval()
    images = torch.randn(4, *SHAPE)
    assert torch.equal(twin(images), built("lenet-digits", dropout=0)(images))
    module.fc3.dropout.draw(0, len(images))
    assert not torch.equal(module(images), twin(images))
