"""Pruning of single weights while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gst.recipe import Recipe

LAYERS = ("fc1.weight", "fc2.weight")
GRADUAL = {
    "kind": "gradual",
    "fraction": 0.7,
    "first_epoch": 0,
    "last_epoch": 4,
    "period": 2,
    "target": "S",
}


@pytest.mark.parametrize("target", ["S", "R", "L"])
def test_weights_left_and_which(
    target: str, with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    """Of 11,400 prunable weights 3,420 are to stay: three events of 2,660 each."""
    seen = watched(
        with_intervention({**GRADUAL, "target": target}, "lenet-digits", training={"epochs": 6})
    )
    assert seen.targets() == [0, 2660, 0, 2660, 0, 2660, 0]
    left = [11400, 8740, 8740, 6080, 6080, 3420, 3420]
    densities = [row["density"] for row in seen.state.rows if row["seed"] == 0]
    np.testing.assert_allclose(densities, np.array(left) / 11400)

    def flat(arrays: dict[str, np.ndarray], kind: str, r: int) -> np.ndarray:
        return np.concatenate([arrays[f"{kind}/{name}"][r].ravel() for name in LAYERS])

    alive = np.ones((2, 11400), dtype=bool)
    for epoch in (0, 2, 4):
        before, after = seen[epoch, 3], seen[epoch + 1, 0]
        for r in range(2):
            kept = flat(after, "masks", r).astype(bool)
            gone = alive[r] & ~kept
            assert not (kept & ~alive[r]).any()
            assert gone.sum() == 2660
            assert (flat(after, "weights", r)[~kept] == 0).all()
            sizes = np.abs(flat(before, "weights", r))
            if target == "S":
                assert sizes[gone].max() <= sizes[kept].min()
            elif target == "L":
                assert sizes[gone].min() >= sizes[kept].max()
            else:
                share = gone[:6400].mean() / alive[r, :6400].mean()
                assert share == pytest.approx(2660 / alive[r].sum(), abs=0.04)
                assert abs(np.corrcoef(sizes[alive[r]], gone[alive[r]])[0, 1]) < 0.05
            alive[r] = kept
        assert (alive[0] != alive[1]).any()


def test_all_at_once(with_intervention: Callable[..., Recipe], watched: Callable[..., Any]) -> None:
    intervention = {**GRADUAL, "period": None, "first_epoch": 1}
    seen = watched(with_intervention(intervention, "lenet-digits"))
    assert seen.targets() == [0, 0, 7980, 0]


@pytest.mark.parametrize("network", ["vgg-digits", "resnet20-a"])
def test_convolutions_and_the_dense_layer_count_together(
    network: str, with_intervention: Callable[..., Recipe], watched: Callable[..., Any]
) -> None:
    made = with_intervention(
        {**GRADUAL, "last_epoch": 1, "period": 1}, network, 0.25, training={"epochs": 2}
    )
    seen = watched(made)
    names = seen.state.prunable
    total = sum(seen.state.cohort.weights[name][0].numel() for name in names)
    assert "classifier.weight" in names
    # Exact, with ceilings: of n weights ceil(0.3 n) are to stay.
    final = -(-3 * total // 10)
    middle = -(-(final + total) // 2)
    assert seen.targets() == [0, total - middle, middle - final]
    assert seen.state.remaining() == [final] * 2
