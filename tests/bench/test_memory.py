from __future__ import annotations

import numpy as np

from gst.bench import memory


def test_the_peak_is_that_since_the_reset() -> None:
    many = [np.ones(2**14) for _ in range(2**11)]  # 256 MB in pieces too small to be mapped alone
    before = memory.peak_mb()
    del many
    memory.reset_peak()
    after = memory.peak_mb()
    assert after < before - 200
    np.ones(2**24)
    assert 120 < memory.peak_mb() - after < 140
