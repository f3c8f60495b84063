"""Where things lie under the results folder: a path reads as a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from gst.recipe import LabelNoise

RUN_FILES = ("weights.safetensors", "epochs.parquet", "examples.npz", "run.json")
"""What every training run leaves in its folder, beside the snapshots that its recipe asks for."""

EARLY = "early"
"""Method of the dense networks that were cut off at the rewind epoch, for weights to go back to."""


def percent_text(percent: float) -> str:
    """Write a percentage as paths do: 40.0 as "40", 2.5 as "2.5"."""
    return f"{percent:g}"


def labels_path(dataset: str, noise: LabelNoise, cohort: Cohort | str) -> str:
    """Return where, in the results folder, the labels that a cohort trains on are.

    For 15% noise labels/{dataset}/noise-15/{cohort}.npz if it is uniform, else
    labels/{dataset}/noise-15-{kind}/{cohort}.npz.
    """
    kind = "" if noise.kind == "uniform" else f"-{noise.kind}"
    return f"labels/{dataset}/noise-{percent_text(noise.percent)}{kind}/{cohort}.npz"


def left_out_path(path: RunPath) -> str:
    """Return where, in the results folder, it says which examples a run leaves out.

    That is left_out/{benchmark}/noise-{percent}/{method}.npz, for all seeds.
    """
    return f"left_out/{path.benchmark}/noise-{path.percent}/{path.method}.npz"


def snapshot_name(epoch: int) -> str:
    """Return where, in a run's folder, the weights after that many finished epochs are kept."""
    return f"snapshots/epoch-{epoch}.safetensors"


@dataclass(frozen=True, order=True)
class Cohort:
    """One block of consecutive seeds that train together, as paths write it: seeds-0-2."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"seeds-{self.first}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text that `str` writes.

        Raises:
            ValueError: If the text does not name a block of seeds.
        """
        found = re.fullmatch(r"seeds-(\d+)-(\d+)", text)
        if not found or int(found[1]) > int(found[2]):
            raise ValueError(f"{text!r} does not name a block of seeds such as seeds-0-2")
        return cls(int(found[1]), int(found[2]))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the block, in order."""
        return tuple(range(self.first, self.last + 1))


@dataclass(frozen=True, order=True)
class RunPath:
    """The place of one training run: a cohort of one recipe.

    As text: {study}/{benchmark}/noise-{percent}/{method}/level-{level}/{cohort}, below
    results/runs for the run itself and below results/flatness for what was measured on it.
    """

    study: str
    benchmark: str
    percent: str
    method: str
    level: int
    cohort: Cohort

    def __str__(self) -> str:
        return (
            f"{self.study}/{self.benchmark}/noise-{self.percent}/{self.method}/"
            f"level-{self.level:02d}/{self.cohort}"
        )

    @classmethod
    def parse(cls, path: str | PurePosixPath) -> Self:
        """Read a run's place from the last six parts of its folder's path.

        Raises:
            ValueError: If the path does not end as a run's folder does.
        """
        parts = PurePosixPath(path).parts[-6:]
        shape = r"([^/]+)/([^/]+)/noise-([\d.]+)/([^/]+)/level-(\d+)/(seeds-\d+-\d+)"
        found = re.fullmatch(shape, "/".join(parts))
        if not found:
            raise ValueError(f"{path} is not the folder of a run")
        study, benchmark, percent, method, level, cohort = found.groups()
        return cls(study, benchmark, percent, method, int(level), Cohort.parse(cohort))
