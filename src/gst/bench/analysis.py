"""How long the tables and figures of a full regularization benchmark take, on made-up runs."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from gst.analysis.tables import regularization_tables
from gst.artifacts import read_table, write_json, write_npz, write_table
from gst.bench.memory import peak_mb
from gst.config import El2n, RegularizationBenchmark, Study
from gst.figures.style import save
from gst.layout import Cohort, RunPath, labels_path
from gst.recipe import Network, Recipe, Training, WeightPruning, jsonable
from gst.registry import entries, load

NAME = "made-up"
NOISE = (0.0, 15.0, 30.0, 60.0)
TABLES = "tables"
SHAPE = (1, 28, 28)
"""Shape of an image."""


def made_up(levels: int, epochs: int) -> Study:
    """Return a study of one benchmark: four levels of noise, three seeds, four algorithms.

    Args:
        levels: Levels of each algorithm beyond the dense network.
        epochs: Epochs of a level.
    """
    pruning = WeightPruning(kind="weights", fraction=0.2)
    return Study(
        name=NAME,
        benchmarks={
            NAME: RegularizationBenchmark(
                study="regularization",
                dataset=NAME,
                network=Network(name="lenet"),
                training=Training.model_validate(
                    {"epochs": epochs, "batch_size": 60, "optimiser": {"kind": "sgd", "lr": 0.1}}
                ),
                noise=NOISE,
                replicates=3,
                cohort=3,
                levels=levels,
                pruning=pruning,
                ablations={"random": pruning.model_copy(update={"score": "random"})},
                el2n=El2n(epoch=1),
            )
        },
    )


def write_runs(results: Path, study: Study, examples: int) -> None:
    """Write every file that the study's tables are made from, with random numbers.

    Args:
        results: The results folder.
        study: As `made_up` returns it.
        examples: Number of training examples.
    """
    rng = np.random.default_rng(0)
    for path, recipe in study.recipes.items():
        _write_run(results / "runs" / str(path), path, recipe, examples, rng)
    for job in study.el2n():
        seeds = job.cohort.seeds
        scores = rng.random((len(seeds), job.networks, examples), dtype=np.float32)
        halves = [half.mean(axis=1) for half in np.array_split(scores, 2, axis=1)]
        write_npz(
            results / f"el2n/{job.benchmark}/noise-{job.percent}/{job.cohort}.npz",
            {
                "seeds": np.array(seeds),
                "scores": scores,
                "halves": np.stack(halves, axis=1),
                "spread": scores.std(axis=1, ddof=1),
            },
            {},
        )
        noise = job.recipe.labels
        if noise.percent:
            noisy = rng.random((len(seeds), examples)) < noise.percent / 100
            file = results / labels_path(job.recipe.dataset, noise, job.cohort)
            given = np.zeros(noisy.shape, dtype=np.int64)
            write_npz(file, {"seeds": np.array(seeds), "noisy": noisy, "labels": given}, {})
    for dataset in {recipe.dataset for recipe in study.recipes.values()}:
        images = rng.integers(0, 256, (examples, *SHAPE), dtype=np.uint8)
        labels = np.zeros(examples, dtype=np.int64)
        folder = results / "data" / dataset
        write_npz(folder / "train.npz", {"images": images, "labels": labels}, {})
        write_json(folder / "dataset.json", {"train": examples, "classes": ["all"]})


def _write_run(
    folder: Path, path: RunPath, recipe: Recipe, examples: int, rng: np.random.Generator
) -> None:
    seeds, count = path.cohort.seeds, len(path.cohort.seeds)
    left = 0.8**path.level if path.method not in ("dense", "extended") else 1.0
    loss = rng.random((count, examples), dtype=np.float32)
    record = {
        "recipe": jsonable(recipe),
        "code": NAME,
        "seeds": list(seeds),
        "diverged": [],
        "parameters": 1000,
        "prunable": 1000,
        "density": [left] * count,
        "weights_remaining": [left] * count,
        "epochs_spent": recipe.epochs_spent,
        "seconds": 1.0,
        "steps": 1,
        "peak_memory_mb": 1.0,
        "energy_joules": None,
        "threads": 1,
        "device": "cpu",
        "started": "",
        "versions": {},
        "hardware": {},
    }
    write_json(folder / "run.json", record)
    write_table(folder / "epochs.parquet", _epochs(path.cohort, recipe.training.epochs, rng))
    arrays = {"seeds": np.array(seeds), "train_loss": loss, "train_correct": loss < 0.9}
    write_npz(folder / "examples.npz", arrays, {})


def _epochs(cohort: Cohort, epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = pd.MultiIndex.from_product([range(epochs + 1), cohort.seeds], names=["epoch", "seed"])
    table = rows.to_frame(index=False)
    names = ("train_accuracy", "test_accuracy", "selection_accuracy", "report_accuracy")
    table[[*names, "test_loss"]] = rng.random((len(table), 5))
    return table.assign(accuracy_before=np.nan, accuracy_after=np.nan, targets=0)


def make_tables(results: Path, study: Study) -> None:
    """Make and write the tables of the study's benchmark."""
    expected = {str(path): recipe for path, recipe in study.recipes.items()}
    for name, table in regularization_tables(results, expected, groups=20).items():
        write_table(results / TABLES / f"{name}.parquet", table)


def make_figure(results: Path, kind: str) -> None:
    """Make one figure from the tables, and write it and its numbers."""
    figure = load("gst.figures", kind)
    names = entries("gst.figures")[kind].facts["tables"]
    tables = {name: read_table(results / TABLES / f"{name}.parquet") for name in names}
    table = figure.summarise(**tables)
    save(figure.draw(table), results / "figures" / kind)
    write_table(results / TABLES / f"{kind}.csv", table)
    figure.caption(table)


def alone(work: Callable[[], object]) -> tuple[float, float]:
    """Do something in a process of its own, as a job of the workflow is.

    Returns:
        The seconds it took, start and imports included, and its peak memory in MB.
    """
    started = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        peak = pool.submit(_peak_of, work).result()
    return time.perf_counter() - started, peak


def _peak_of(work: Callable[[], object]) -> float:
    """Do something, and return this process's peak memory."""
    work()
    return peak_mb()


def bench(results: Path, *, examples: int, levels: int, epochs: int) -> None:
    """Write made-up runs to a results folder; print what their tables and figures take."""
    study = made_up(levels, epochs)
    seconds, _ = alone(partial(write_runs, results, study, examples))
    print(f"{len(study.recipes)} runs of 3 replicates, {examples} examples, in {results}")
    print(f"written in {seconds:.0f} s\n\n{'job':32} {'seconds':>8} {'peak MB':>8}")
    benchmark = study.benchmarks[NAME]
    kinds = [
        kind
        for kind, entry in entries("gst.figures").items()
        if entry.facts["study"] == benchmark.study and all(map(benchmark.has, entry.facts["needs"]))
    ]
    jobs = {"tables": partial(make_tables, results, study)}
    jobs |= {kind: partial(make_figure, results, kind) for kind in kinds}
    taken = []
    for name, job in jobs.items():
        taken.append(alone(job))
        print(f"{name:32} {taken[-1][0]:8.1f} {taken[-1][1]:8.0f}", flush=True)
    total, peak = sum(seconds for seconds, _ in taken), max(peak for _, peak in taken)
    print(f"{'one after the other':32} {total:8.1f} {peak:8.0f}")
