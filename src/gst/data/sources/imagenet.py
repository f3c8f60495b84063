"""ImageNet, from the user's own copy."""

from __future__ import annotations

from pathlib import Path

from gst.data.sources.folders import read_folders
from gst.data.splits import Raw
from gst.registry import register


@register("imagenet", needs=("{root}/train", "{root}/val"))
def imagenet(data_root: Path, *, root: str, size: int) -> Raw:
    """Return a square copy of ImageNet (Russakovsky et al. 2015), `size` pixels a side.

    All of it is held in memory: 3 size**2 bytes for each of 1.3 million images.
    """
    text = f"ImageNet, cut to squares and scaled to {size} x {size} pixels"
    return read_folders(data_root / root, ("train", "val"), size, text)
