"""Ways to carry out a run, compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gst.bench.agreement import FIRST, Run, compare, dataset, ways
from gst.bench.records import Way


def test_on_a_cpu_company_changes_nothing_and_bf16_little() -> None:
    found = ways("lenet-digits", range(3), dataset(), torch.device("cpu"), epochs=4)
    assert list(found) == ["eager", "alone", "bf16"]
    assert found["eager"].first.shape == (3, FIRST) and found["eager"].accuracy.min() > 0.5
    eager, alone, bf16 = compare("lenet-digits", 4, found)
    assert eager.accuracy == alone.accuracy > 0.5
    assert alone.difference == alone.change == alone.low == alone.high == 0
    assert 0 < bf16.difference < 0.05


def test_the_comparison_by_hand() -> None:
    first = np.ones((3, 2))
    other = first.copy()
    other[1, 0] = 0.75
    runs: dict[Way, Run] = {
        "eager": Run(first, np.array([0.5, 0.6, 0.7])),
        "captured": Run(other, np.array([0.6, 0.8, 1.0])),
    }
    _, found = compare("lenet-digits", 4, runs)
    assert found.difference == 0.25 and found.seeds == 3
    assert [found.accuracy, found.change] == pytest.approx([0.8, 0.2])
    # t at 97.5% and two degrees of freedom is 4.3027; the standard error is 0.1 / sqrt(3).
    assert [found.low, found.high] == pytest.approx([0.2 - 0.24841, 0.2 + 0.24841], abs=1e-5)
