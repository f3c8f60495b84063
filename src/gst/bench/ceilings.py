"""What a device can do at best: matrix products and copies."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gst.bench.clock import seconds_each
from gst.bench.records import Copy, Precision, Product

SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
"""Rows of the matrices that are tried, by kind of device."""
COPIED = {"cpu": 2**28, "cuda": 2**31}
"""Bytes that are copied; much more than caches hold."""
TYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16}


def product(
    precision: Precision, device: torch.device, seconds: float, sizes: Sequence[int] | None = None
) -> Product:
    """Measure the product of two square matrices.

    Args:
        precision: Of their entries; float32 products use TF32 if torch is set so.
        device: What computes.
        seconds: Time to measure each size for.
        sizes: Rows to try; those of the kind of device if None.

    Returns:
        The best of the sizes: n x n matrices take 2 n^3 operations.
    """
    rates = {}
    for size in sizes or SIZES[device.type]:
        a, b = torch.randn(2, size, size, device=device, dtype=TYPES[precision])
        out = torch.empty_like(a)
        taken = seconds_each(lambda: torch.mm(a, b, out=out), device, seconds)  # noqa: B023
        rates[size] = 2 * size**3 / taken
    best = max(rates, key=rates.__getitem__)
    return Product(precision=precision, size=best, operations_per_second=rates[best])


def copy(device: torch.device, seconds: float, bytes_: int | None = None) -> Copy:
    """Measure how fast a tensor is copied.

    Args:
        device: What copies, within its own memory.
        seconds: Time to measure for.
        bytes_: Bytes of the tensor; those of the kind of device if None.
    """
    size = bytes_ or COPIED[device.type]
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    taken = seconds_each(lambda: target.copy_(source), device, seconds)
    return Copy(bytes_per_second=2 * size / taken)
