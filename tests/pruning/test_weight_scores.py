"""Scores of single weights, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gst.pruning.weight_scores import Weights
from gst.registry import entries, load

PACKAGE = "gst.pruning.weight_scores"
WEIGHTS = Weights(torch.tensor([[-2.0, 1.0, 0.5]]), [7], torch.tensor([[1.0, -4.0, 0.0]]))


def score(name: str) -> Callable[[Any], torch.Tensor]:
    return load(PACKAGE, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("magnitude", [2.0, 1.0, 0.5]),
        ("largest", [-2.0, -1.0, -0.5]),
        ("snip", [2.0, 4.0, 0.0]),
        ("synflow", [2.0, 4.0, 0.0]),
    ],
)
def test_by_hand(name: str, expected: list[float]) -> None:
    assert score(name)(WEIGHTS).tolist() == [expected]


def test_random_numbers_depend_on_the_keys_alone() -> None:
    both = score("random")(Weights(torch.zeros(2, 3, 4), [7, 8]))
    assert both.shape == (2, 3, 4)
    assert torch.equal(both[1:], score("random")(Weights(torch.ones(1, 3, 4), [8])))
    assert not torch.equal(both[0], both[1])
    many = score("random")(Weights(torch.zeros(1, 10_000), [9]))
    assert many.min() >= 0 and many.max() < 1
    assert many.mean().item() == pytest.approx(0.5, abs=4 / (12 * 10_000) ** 0.5)


def test_what_scores_need() -> None:
    needed = {name: entry.facts.get("gradient") for name, entry in entries(PACKAGE).items()}
    assert needed == {
        "magnitude": None,
        "largest": None,
        "random": None,
        "snip": "loss",
        "synflow": "flow",
    }
