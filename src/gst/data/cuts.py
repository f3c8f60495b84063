"""Parts of a dataset, each class by its share."""

from __future__ import annotations

import numpy as np

from gst.artifacts import ArtifactError
from gst.data.splits import Raw, Split
from gst.datasets import Subset
from gst.randomness import generator


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the indices in a random order of which every prefix holds each class by its share.

    The example drawn as number k of the n of its class stands at (k + 1/2) / n; examples are
    sorted by that, and ties fall at random.
    """
    drawn = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = drawn[labels[drawn] == label]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return drawn[np.argsort(place[drawn], kind="stable")]


def cut(raw: Raw, subset: Subset) -> Raw:
    """Keep the examples that a subset asks for, in their old order.

    Raises:
        ArtifactError: If it asks for more than there are.
    """

    def kept(split: Split, purpose: str, n: int | None) -> Split:
        if n is None:
            return split
        if n > len(split):
            raise ArtifactError(
                f"{split.origin}: a subset asks for {n} {purpose} examples, there are {len(split)}"
            )
        order = stratified_order(split.labels, generator(subset.seed, f"subset-{purpose}"))
        return split.take(np.sort(order[:n]))

    train, test = kept(raw.train, "train", subset.train), kept(raw.test, "test", subset.test)
    return raw._replace(
        train=train,
        test=test,
        source=f"{raw.source}; {len(train)} of {len(raw.train)} training and {len(test)} of "
        f"{len(raw.test)} test examples, each class by its share, seed {subset.seed}",
    )
