"""What files of EL2N scores hold beside the scores."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from gst.measures.influence import over_networks


@pytest.mark.parametrize("networks", [2, 5, 10])
def test_spread_and_halves(networks: int) -> None:
    scores = np.random.default_rng(0).random((2, networks, 3)).astype(np.float32)
    found = over_networks(scores)
    half = networks // 2
    for draw in range(2):
        for example in range(3):
            own = scores[draw, :, example].astype(float).tolist()
            assert found["spread"][draw, example] == pytest.approx(statistics.stdev(own))
            first, second = found["halves"][draw, :, example]
            assert first == pytest.approx(statistics.mean(own[:half]))
            assert second == pytest.approx(statistics.mean(own[half : 2 * half]))


def test_one_network_has_neither() -> None:
    found = over_networks(np.ones((2, 1, 3), np.float32))
    assert found["spread"].shape == (2, 3) and np.isnan(found["spread"]).all()
    assert found["halves"].shape == (2, 2, 3) and np.isnan(found["halves"]).all()
