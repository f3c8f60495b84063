from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gst.measures.el2n import el2n


def test_hand_computed_scores() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0], [math.log(3.0), 0.0]])
    labels = torch.tensor([0, 0, 1])
    expected = [math.hypot(0.5, 0.5), math.hypot(0.25, 0.25), math.hypot(0.75, 0.75)]
    assert el2n(logits, labels).tolist() == pytest.approx(expected)


def test_three_classes_alike() -> None:
    score = el2n(torch.zeros(1, 3), torch.tensor([2]))
    assert score.item() == pytest.approx(math.sqrt(1 / 9 + 1 / 9 + 4 / 9))


def test_the_ends_are_right_and_wrong_for_sure() -> None:
    logits = torch.tensor([[100.0, 0.0], [100.0, 0.0]])
    scores = el2n(logits, torch.tensor([0, 1]))
    assert scores.tolist() == pytest.approx([0.0, math.sqrt(2)], abs=1e-6)


def test_labels_broadcast_over_networks() -> None:
    logits = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(10).reshape(2, 1, 5) % 4
    scores = el2n(logits, labels)
    assert scores.shape == (2, 3, 5)
    for draw in range(2):
        for network in range(3):
            torch.testing.assert_close(
                scores[draw, network], el2n(logits[draw, network], labels[draw, 0])
            )


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6), st.floats(-50, 50))
def test_scores_are_bounded_and_blind_to_a_shift(values: list[float], shift: float) -> None:
    logits = torch.tensor([values], dtype=torch.float64)
    label = torch.tensor([len(values) - 1])
    score = el2n(logits, label)
    assert 0 <= score.item() <= math.sqrt(2) + 1e-12
    torch.testing.assert_close(score, el2n(logits + shift, label))
