"""Draws figures again from the tables of the numbers that they show."""

from __future__ import annotations

from pathlib import Path

from gst.artifacts import ArtifactError, atomic, read_table
from gst.figures import style
from gst.registry import entries, load


def redraw(tables: str | Path, out: str | Path) -> list[Path]:
    """Draw every figure whose table is in a folder or below it.

    Args:
        tables: The folder. A table KIND.csv belongs to the figure of that name; other files are
            left alone.
        out: The folder to write to, with the same folders below it: KIND.png, and the caption,
            KIND.txt.

    Returns:
        The pictures.

    Raises:
        ArtifactError: If there is no table of a figure, or one is damaged.
    """
    kinds = entries("gst.figures")
    found = sorted(path for path in Path(tables).rglob("*.csv") if path.stem in kinds)
    if not found:
        raise ArtifactError(f"{tables}: no table of a figure, such as {min(kinds)}.csv")
    pictures = []
    for path in found:
        figure, table = load("gst.figures", path.stem), read_table(path)
        stem = Path(out, path.relative_to(tables).with_suffix(""))
        style.save(figure.draw(table), stem, (".png",))
        with atomic(stem.with_suffix(".txt")) as temporary:
            temporary.write_text(figure.caption(table) + "\n", encoding="utf-8")
        pictures.append(stem.with_suffix(".png"))
    return pictures
