"""Flatness of the networks of the stability study, beside their stability and accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gst.artifacts import ArtifactError, read_json
from gst.layout import RunPath

RUN = ("study", "benchmark", "method", "level", "seed")
"""Columns that name a replicate."""

JOINED = ("stability", "best_test_accuracy", "gap")
"""Columns of the runs table that flatness is held against, beside test_accuracy."""


def flatness_table(results: Path, measured: Iterable[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each measured replicate and split of the data.

    Args:
        results: The results folder.
        measured: Texts of the RunPaths that flatness was measured on.
        runs: As `runs.runs_table` makes it.

    Returns:
        The columns of `RUN`, split (test: as published; train: clean), every measure of
        flatness.json, those of `JOINED`, and test_accuracy at the final epoch. Empty, with no
        measure, if nothing was measured.

    Raises:
        ArtifactError: If a file is missing, damaged, or holds other seeds than its folder says.
    """
    parts = []
    for text in measured:
        path = RunPath.parse(text)
        file = results / "flatness" / text / "flatness.json"
        record = read_json(file)
        if record.get("seeds") != list(path.cohort.seeds):
            raise ArtifactError(f"{file}: does not hold the seeds of {path.cohort}")
        place = {name: getattr(path, name) for name in RUN[:-1]}
        parts += [
            pd.DataFrame({**place, "seed": record["seeds"], "split": split, **measures})
            for split, measures in record["split"].items()
        ]
    if not parts:
        return pd.DataFrame(columns=[*RUN, "split", *JOINED, "test_accuracy"])
    joined = runs[[*RUN, *JOINED]].assign(test_accuracy=1 - runs["test_error"])
    return pd.concat(parts, ignore_index=True).merge(joined, on=list(RUN), validate="m:1")
