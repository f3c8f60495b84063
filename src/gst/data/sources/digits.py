"""The digits that scikit-learn ships: real, and there without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gst.data.cuts import stratified_order
from gst.data.splits import Raw, Split
from gst.randomness import generator
from gst.registry import register

TEST_EXAMPLES = 360


@register("digits")
def digits(data_root: Path) -> Raw:
    """Return the 8x8 digits, pixels 0..16 spread over 0..255, in a fixed 1437/360 split.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = found.target.astype(np.int64)
    order = stratified_order(labels, generator(0, "split"))
    both = Split(images, labels, "scikit-learn's digits")
    return Raw(
        train=both.take(np.sort(order[TEST_EXAMPLES:])),
        test=both.take(np.sort(order[:TEST_EXAMPLES])),
        classes=tuple(map(str, found.target_names)),
        source="Optical Recognition of Handwritten Digits (UCI), as scikit-learn ships it",
    )
