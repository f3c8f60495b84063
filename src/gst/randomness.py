"""Independent random streams, one for each (seed, purpose, counters)."""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, purpose: str, *counters: int) -> int:
    """Derive the key of a random stream.

    Streams of different seeds, purposes or counters are independent, so that, say, the data
    order of epoch 7 does not depend on whether epoch 6 was augmented, or was trained at all.

    Args:
        seed: Seed of the replicate.
        purpose: What the stream is for: "order", "augment", "init", "labels", "prune", ...
        counters: Where in the run it is used, such as level and epoch.

    Returns:
        A key in [0, 2**63), for `numpy.random.default_rng` or `torch.Generator.manual_seed`.
    """
    text = "/".join(map(str, (seed, purpose, *counters)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Open the numpy stream of `key(seed, purpose, *counters)`."""
    return np.random.default_rng(key(seed, purpose, *counters))
