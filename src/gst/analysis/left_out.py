"""Which training examples are left out, by what pruning did to them, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gst.analysis.frames import stack
from gst.analysis.runs import Run, examples, read_runs, runs_table, wrong_labels
from gst.analysis.selection import mean_change
from gst.analysis.subgroups import grouping
from gst.artifacts import ArtifactError, read_json, read_npz
from gst.layout import RunPath, labels_path, left_out_path
from gst.randomness import generator
from gst.recipe import LeaveOut, Recipe, exact, jsonable

COLUMNS = (
    "study",
    "benchmark",
    "noise",
    "method",
    "by",
    "percent",
    "which",
    "level",
    "weights_remaining",
    "seed",
    "examples",
    "share",
    "share_noisy",
    "noisy_excess",
    "test_error",
    "test_error_dense",
    "test_error_pruned",
)


class Choice(NamedTuple):
    """Examples to leave out.

    Attributes:
        left_out: Whether an example is, bool [R, N].
        seeds: One a row.
        level: The level of the pruned network that decided; None for random ones.
    """

    left_out: np.ndarray
    seeds: tuple[int, ...]
    level: int | None


def choose(
    results: Path,
    settings: LeaveOut,
    dataset: str,
    seeds: Sequence[int],
    runs: Mapping[str, Recipe],
    groups: int = 0,
) -> Choice:
    """Choose the examples that each seed leaves out (appendices D, E and K).

    A seed whose dense or pruned network diverged leaves out none.

    Args:
        results: The results folder.
        settings: Which examples.
        dataset: Name of the prepared dataset.
        seeds: The seeds.
        runs: The dense and the pruned runs of one benchmark at one level of noise; not needed for
            random examples.
        groups: Number of groups by EL2N score; needed to find the worst of them.

    Raises:
        ArtifactError: If a file is missing, damaged, or made with another recipe, or no level of
            the pruned network is left.
    """
    if settings.by == "random":
        n = read_json(results / "data" / dataset / "dataset.json")["train"]
        chosen = [_marked(n, generator(s, "left out").permutation(n), settings) for s in seeds]
        return Choice(np.stack(chosen), tuple(seeds), None)
    table = runs_table(list(read_runs(results, runs)))
    level = pruned_level(table, settings.which)
    if level is None:
        raise ArtifactError(
            f"{next(iter(runs))}: no pruned level is left that did not diverge, so that nothing "
            "says which examples to leave out"
        )
    found: dict[int, np.ndarray] = {}
    for dense, pruned in paired(map(RunPath.parse, runs), level):
        marked = _by_losses(results, settings, dense, pruned, groups)
        found |= dict(zip(dense.cohort.seeds, marked, strict=True))
    return Choice(np.stack([found[seed] for seed in seeds]), tuple(seeds), level)


def pruned_level(runs: pd.DataFrame, which: str) -> int | None:
    """Return the level of the pruned network that is compared with the dense one.

    Unlike in `selection.selected`, the dense network is no candidate. None if there is no pruned
    level, or none with replicates that did not diverge.

    Args:
        runs: The dense and the pruned runs of one benchmark and noise, as `runs.runs_table` has
            them.
        which: "optimal", the lowest error on the test set, or "sparsest-better", the sparsest
            level better than dense; the optimal one where none is.
    """
    change = mean_change(runs[runs["method"].isin(["dense", "pruned"])], "test_error")
    change.pop(0, None)
    if not change:
        return None
    better = [level for level, value in change.items() if value < 0]
    if which == "sparsest-better" and better:
        return max(better)
    return min(change, key=lambda level: change[level])


def paired(paths: Iterator[RunPath], level: int) -> Iterator[tuple[RunPath, RunPath]]:
    """Yield the dense run of each cohort, and its pruned run of a level."""
    found = {(path.method, path.level, path.cohort): path for path in paths}
    for (method, _, cohort), dense in found.items():
        if method == "dense":
            yield dense, found["pruned", level, cohort]


def left_out_table(results: Path, leaving_out: Sequence[Run], runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a replicate that was trained without some examples.

    Args:
        results: The results folder.
        leaving_out: These runs, of one benchmark.
        runs: As `runs.runs_table` makes it, of that benchmark, these runs included.

    Returns:
        The columns of `COLUMNS`. level and weights_remaining are those of the pruned network that
        decided (NaN for random examples), examples and share say how many are left out,
        share_noisy how many of these have a wrong label, and noisy_excess how far that is above
        the share among all examples. Errors are of the final epoch on the whole test set; those of
        the dense network and of the pruned one at that level belong to the same seed.

    Raises:
        ArtifactError: If a file is missing or damaged, or holds other examples.
    """
    error = runs.set_index(["noise", "method", "level", "seed"])["test_error"]
    size = runs.set_index(["noise", "method", "level", "seed"])["weights_remaining"]
    found = []
    for run in leaving_out:
        path, settings = run.path, run.recipe.left_out
        assert settings is not None
        arrays, meta = read_npz(
            results / left_out_path(path), {"left_out": ("b", 2), "seeds": ("i", 1)}
        )
        level = meta["level"]
        trained = examples(results, path, "left_out")["left_out"]
        noisy = np.zeros_like(trained)
        if run.recipe.labels.percent:
            labels = labels_path(run.recipe.dataset, run.recipe.labels, path.cohort)
            noisy = wrong_labels(results / labels, path.cohort)
        for own, seed in enumerate(path.cohort.seeds):
            left = arrays["left_out"][arrays["seeds"].tolist().index(seed)]
            if not np.array_equal(left, trained[own]):
                raise ArtifactError(f"{path}: was trained without other examples than are listed")
            place = float(path.percent), path.method, 0, seed
            pruned = (place[0], "pruned", level, seed)
            share_noisy = noisy[own][left].mean() if left.any() else np.nan
            found.append(
                {
                    "study": path.study,
                    "benchmark": path.benchmark,
                    "noise": place[0],
                    "method": path.method,
                    "by": settings.by,
                    "percent": settings.percent or np.nan,
                    "which": settings.which if level else "",
                    "level": level or np.nan,
                    "weights_remaining": size[pruned] if level else np.nan,
                    "seed": seed,
                    "examples": int(left.sum()),
                    "share": left.mean(),
                    "share_noisy": share_noisy,
                    "noisy_excess": share_noisy - noisy[own].mean(),
                    "test_error": error[place],
                    "test_error_dense": error[place[0], "dense", 0, seed],
                    "test_error_pruned": error[pruned] if level else np.nan,
                }
            )
    return stack([pd.DataFrame(found)] if found else [], COLUMNS)


def metadata(settings: LeaveOut, choice: Choice) -> dict[str, Any]:
    """Return what a file of chosen examples says of itself."""
    return {"left_out": jsonable(settings), "level": choice.level}


def _marked(n: int, ranked: np.ndarray, settings: LeaveOut) -> np.ndarray:
    """Mark the first of some ranked examples, as many as the share asks for."""
    assert settings.percent is not None
    left = np.zeros(n, dtype=bool)
    left[ranked[: round(exact(settings.percent) * n / 100)]] = True
    return left


def _by_losses(
    results: Path, settings: LeaveOut, dense: RunPath, pruned: RunPath, groups: int
) -> list[np.ndarray]:
    """Mark, for each seed of a cohort, the examples that it leaves out."""
    before = examples(results, dense, "train_loss")["train_loss"].astype(np.float64)
    after = examples(results, pruned, "train_loss", "train_correct")
    change = after["train_loss"].astype(np.float64) - before
    marked = []
    for own, difference in enumerate(change):
        if not np.isfinite(difference).all():
            marked.append(np.zeros(len(difference), dtype=bool))
        elif settings.by == "improved":
            marked.append(_marked(len(difference), np.argsort(difference, kind="stable"), settings))
        elif settings.by == "misclassified":
            marked.append(~after["train_correct"][own])
        else:
            group = grouping(results, groups)(dense)[own]
            rise = np.bincount(group, weights=difference)[1:] / np.bincount(group)[1:]
            marked.append(group == 1 + np.argmax(rise))
    return marked
