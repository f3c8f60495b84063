"""Pictures of the training examples whose loss pruning raises most (appendix K)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gst.analysis.frames import groups, stack
from gst.analysis.left_out import paired, pruned_level
from gst.analysis.runs import examples
from gst.artifacts import read_json, read_npz
from gst.layout import RunPath, labels_path
from gst.recipe import Recipe

SHOWN = 16
"""Examples shown of each level of noise."""

COLUMNS = (
    "benchmark",
    "noise",
    "level",
    "rank",
    "example",
    "seeds",
    "loss_dense",
    "loss_sparse",
    "loss_difference",
    "given",
    "original",
    "channels",
    "height",
    "width",
    "pixels",
)


def pictures_table(
    results: Path, runs: pd.DataFrame, expected: Mapping[str, Recipe]
) -> pd.DataFrame:
    """Return the examples whose training loss the pruned network raises most above dense.

    The level is the sparsest that is better than dense, or the optimal one where none is. Losses
    are means over those seeds that train on the first seed's labels: over all seeds without
    label noise, over the first seed with it, since every seed draws its own wrong labels. Streamed
    images are not in the results folder, so that there are no pictures of them.

    Args:
        results: The results folder.
        runs: As `runs.runs_table` makes it, of one benchmark.
        expected: The recipes of these runs, by the text of their RunPath.

    Returns:
        The columns of `COLUMNS`, worst first: given and original are the names of the label
        trained on and of the right one, pixels the bytes [C, H, W] of the image, in hexadecimal.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """
    parts = []
    for (noise,), own in groups(runs, "noise"):
        level = pruned_level(own, "sparsest-better")
        if level is None:
            continue
        here = {
            RunPath.parse(text): recipe
            for text, recipe in expected.items()
            if recipe.labels.percent == noise and not recipe.left_out
        }
        cohorts = sorted(paired(iter(here), level))
        recipe = here[cohorts[0][0]]
        folder = results / "data" / recipe.dataset
        info = read_json(folder / "dataset.json")
        if info.get("stream"):
            continue
        split, _ = read_npz(folder / "train.npz", {"images": ("u", 4), "labels": ("i", 1)})
        given = split["labels"]
        if noise:
            file = results / labels_path(recipe.dataset, recipe.labels, cohorts[0][0].cohort)
            given = read_npz(file, {"labels": ("i", 2)})[0]["labels"][0]
        before, after = (
            np.concatenate(
                [examples(results, path, "train_loss")["train_loss"] for path in side]
            ).astype(np.float64)[: 1 if noise else None]
            for side in zip(*(cohorts[:1] if noise else cohorts), strict=True)
        )
        healthy = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
        if not healthy.any():
            continue
        before, after = before[healthy].mean(axis=0), after[healthy].mean(axis=0)
        worst = np.argsort(before - after, kind="stable")[:SHOWN]
        names = np.array(info["classes"])
        images = split["images"][worst]
        parts.append(
            pd.DataFrame(
                {
                    "benchmark": cohorts[0][0].benchmark,
                    "noise": noise,
                    "level": level,
                    "rank": np.arange(1, len(worst) + 1),
                    "example": worst,
                    "seeds": int(healthy.sum()),
                    "loss_dense": before[worst],
                    "loss_sparse": after[worst],
                    "loss_difference": (after - before)[worst],
                    "given": names[given[worst]],
                    "original": names[split["labels"][worst]],
                    **dict(zip(("channels", "height", "width"), images.shape[1:], strict=True)),
                    "pixels": [image.tobytes().hex() for image in images],
                }
            )
        )
    return stack(parts, COLUMNS)
