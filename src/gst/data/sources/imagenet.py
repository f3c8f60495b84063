"""ImageNet, from the user's own copy."""

from __future__ import annotations

from pathlib import Path

from gst.data.sources.folders import list_folders, read_folders
from gst.data.splits import Raw
from gst.registry import register


@register("imagenet", needs=("{root}/train", "{root}/val"))
def imagenet(data_root: Path, *, root: str, size: int | None) -> Raw:
    """Return ImageNet (Russakovsky et al. 2015): a list of its files, inputs 224 pixels a side.

    With a size, a square copy of so many pixels a side, all of it held in memory: 3 size**2 bytes
    for each of 1.3 million images.
    """
    if size is None:
        return list_folders(data_root, root, ("train", "val"), 224, "ImageNet, full size")
    text = f"ImageNet, cut to squares and scaled to {size} x {size} pixels"
    return read_folders(data_root / root, ("train", "val"), size, text)
