"""A training run from files to files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from gst import models
from gst.artifacts import (
    ArtifactError,
    read_npz,
    read_replicates,
    write_json,
    write_npz,
    write_rows,
    write_weights,
)
from gst.data.loaded import Dataset, LabelDraw
from gst.layout import snapshot_name
from gst.pruning.size import parameters_left
from gst.recipe import LeaveOut, Network, Recipe, jsonable
from gst.training import interventions
from gst.training.capture import graph_capture
from gst.training.checkpoint import EVERY, Checkpoint
from gst.training.cohort import prunable
from gst.training.data import load_data
from gst.training.evaluate import evaluate
from gst.training.loop import Data, Row, TrainingState, train
from gst.training.processes import ALONE, Processes
from gst.training.usage import Usage


@dataclass(frozen=True)
class Job:
    """One training run: a cohort of a recipe, and where it runs.

    Attributes:
        recipe: What to train.
        seeds: One a replicate, as the label draw has them.
        folder: Where the run's files go.
        checkpoint: File to resume from; outside `folder`.
        code: Fingerprint of the code, for the record.
        device: Where to train.
        start: weights.safetensors of the level before, for levels after level 0.
        early: weights.safetensors of the network that the recipe rewinds to, if it is trained.
        left_out: File that lists the examples that the recipe leaves out, if it does.
        checkpoint_every: Seconds between two checkpoints.
        keep_checkpoint: Whether the checkpoint stays, as it is after the last step, when the run
            has ended; if its files are lost, they can then be made again without training.
        processes: Those that train together; the first writes.
    """

    recipe: Recipe
    seeds: Sequence[int]
    folder: Path
    checkpoint: Path
    code: str
    device: torch.device
    start: Path | None = None
    early: Path | None = None
    left_out: Path | None = None
    checkpoint_every: float = EVERY
    keep_checkpoint: bool = False
    processes: Processes = ALONE


def run(job: Job, dataset: Dataset, labels: LabelDraw) -> None:
    """Train a cohort, measure every example, and write the files of `gst.layout.RUN_FILES`.

    Raises:
        ArtifactError: If what the run starts from is missing, was made by another recipe or for
            other seeds, the labels were drawn for others, or the examples to leave out are not
            those of the recipe and of the seeds.
        Interrupted: If the process was asked to stop; a checkpoint is left.
        OSError: If the disk is full; the last checkpoint is left.
    """
    usage, first = Usage(job.device, job.processes), not job.processes.rank
    if list(labels.seeds) != list(job.seeds):
        raise ArtifactError(
            f"the labels were drawn for the seeds {list(labels.seeds)}, not {list(job.seeds)}"
        )
    left_out = None
    if job.recipe.left_out:
        left_out = _read_left_out(job, job.recipe.left_out, len(dataset.train))
    data = load_data(
        dataset, labels.labels, job.recipe.training, job.device, job.processes, left_out
    )
    state = TrainingState(
        job.recipe, job.seeds, len(dataset.classes), dataset.shape, data.trained, job.device
    )
    before = job.recipe.previous()
    start = _read_start(job.start, before, job.seeds) if before else {}
    rewound = _rewound(job, state)
    checkpoint = Checkpoint(
        job.checkpoint,
        job.code,
        {
            "data": dataset.arrays() | {"labels": labels.labels},
            "left_out": {} if left_out is None else {"left_out": left_out},
            "start": start,
            "rewound": rewound or {},
        },
        every=job.checkpoint_every,
        usage=usage,
        processes=job.processes,
    )
    with checkpoint.stop.listening():
        if not checkpoint.resume(state) and before:
            state.load_arrays(start)
        first_step = usage.seconds()
        capture = graph_capture(job.device) if data.resident else None
        train(
            state,
            data,
            interventions.make(job.recipe),
            rewound=rewound,
            capture=capture,
            pause=checkpoint.pause,
            progress=_progress(job.recipe) if first else lambda rows: None,
        )
        if job.keep_checkpoint:
            checkpoint.save(state)
    measured = _measure_examples(state, data)
    if left_out is not None:
        measured["left_out"] = left_out
    used = usage.record()
    if not first:
        return
    _write(job, state, measured)
    used |= {"seconds_to_first_step": round(first_step, 3), "captured": capture is not None}
    _write_record(job, state, dataset, **used)
    if not job.keep_checkpoint:
        checkpoint.remove()


def _rewound(job: Job, state: TrainingState) -> dict[str, np.ndarray] | None:
    """Return the weights that a run goes back to, if any; `state` is as initialised."""
    if not job.recipe.rewinds_weights:
        return None
    early = job.recipe.early()
    return _read_start(job.early, early, job.seeds) if early else state.cohort.state()


def _read_start(file: Path | None, recipe: Recipe, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """Read the weights that a run starts from; they must be those of a recipe and of seeds."""
    if file is None:
        raise ArtifactError(f"no file was given of what the run starts from: {recipe.canonical()}")
    return read_replicates(file, recipe, seeds)


def _read_left_out(job: Job, settings: LeaveOut, examples: int) -> np.ndarray:
    """Read which examples each replicate does not train on, bool [R, N]."""
    file, wanted = job.left_out, jsonable(settings)
    if file is None:
        raise ArtifactError(f"no file was given of what the run leaves out: {wanted}")
    arrays, meta = read_npz(file, {"left_out": ("b", 2), "seeds": ("i", 1)})
    if meta.get("left_out") != wanted:
        raise ArtifactError(f"{file}: lists {meta.get('left_out')}, not {wanted}; make it again")
    rows = {seed: row for row, seed in enumerate(arrays["seeds"].tolist())}
    if missing := set(job.seeds) - rows.keys():
        raise ArtifactError(f"{file}: does not list the seeds {sorted(missing)}; make it again")
    found: np.ndarray = arrays["left_out"][[rows[seed] for seed in job.seeds]]
    if found.shape[1] != examples:
        raise ArtifactError(f"{file}: of {found.shape[1]} examples; the data set has {examples}")
    kept = (~found).sum(axis=1)
    if kept.min() == 0:
        raise ArtifactError(f"{file}: leaves nothing to train on for a seed of {list(job.seeds)}")
    if kept.min() != kept.max():
        raise ArtifactError(
            f"{file}: keeps {kept.tolist()} examples for the seeds {list(job.seeds)}; "
            "seeds that keep different numbers cannot train in one cohort"
        )
    return found


def _progress(recipe: Recipe) -> Callable[[list[Row]], None]:
    """Return what shows each finished epoch: a bar in a terminal, a line in a log."""
    total, first = recipe.training.epochs, recipe.first_epoch
    bar = tqdm(total=total, initial=first, unit="epoch", disable=not sys.stderr.isatty())

    def show(rows: list[Row]) -> None:
        def mean(name: str) -> float:
            return sum(row[name] for row in rows) / len(rows)

        epoch = rows[0]["epoch"]
        line = (
            f"epoch {epoch}/{total}  lr {rows[0]['lr']:.2g}  "
            f"train loss {mean('train_loss'):.4f}  accuracy {mean('train_accuracy'):.4f}  "
            f"test accuracy {mean('test_accuracy'):.4f}  {rows[0]['seconds']:.2f} s"
        )
        if rows[0]["targets"]:
            line += f"  event on {rows[0]['targets']}: {mean('accuracy_after'):.4f}"
        if bar.disable:
            print(line, flush=True)
        else:
            bar.set_postfix_str(line.split("  ", 1)[1])
            bar.update(epoch - bar.n)

    return show


def _measure_examples(state: TrainingState, data: Data) -> dict[str, np.ndarray]:
    measure = partial(evaluate, state.cohort, precision=state.recipe.training.precision)
    train_loss, train_correct = data.over_train(measure)
    test_loss, test_correct = data.over_test(measure)
    return {
        "train_loss": train_loss.cpu().numpy(),
        "train_correct": train_correct.bool().cpu().numpy(),
        "test_loss": test_loss.cpu().numpy(),
        "test_correct": test_correct.bool().cpu().numpy(),
    }


def _write(job: Job, state: TrainingState, measured: dict[str, np.ndarray]) -> None:
    meta = {"recipe": jsonable(job.recipe), "seeds": list(job.seeds)}
    for epoch, arrays in state.snapshots.items():
        write_weights(job.folder / snapshot_name(epoch), arrays, {**meta, "epoch": epoch})
    write_weights(job.folder / "weights.safetensors", state.arrays(), meta)
    write_rows(job.folder / "epochs.parquet", state.rows)
    write_npz(
        job.folder / "examples.npz",
        measured | {"seeds": np.array(job.seeds, dtype=np.int64)},
        {**meta, "unit": "nats", "when": "final weights, evaluation mode, not augmented"},
    )


def _write_record(job: Job, state: TrainingState, dataset: Dataset, **used: Any) -> None:
    module = state.cohort.modules[0]
    total = sum(state.cohort.weights[name][0].numel() for name in state.prunable)
    full = job.recipe.network.model_copy(update={"width": 1.0})
    reference = _prunable_weights(
        models.build(full, len(dataset.classes), dataset.shape, torch.Generator()), full
    )
    remaining = state.remaining()
    left = [
        parameters_left(module, {name: mask[r] for name, mask in state.masks.items()})
        for r in range(len(state.seeds))
    ]
    finite = torch.stack(
        [weight.flatten(1).isfinite().all(1) for weight in state.cohort.weights.values()]
    ).all(0)
    write_json(
        job.folder / "run.json",
        {
            "recipe": jsonable(job.recipe),
            "code": job.code,
            "seeds": list(job.seeds),
            "diverged": [s for s, fine in zip(job.seeds, finite.tolist(), strict=True) if not fine],
            "parameters": sum(p.numel() for p in module.parameters()),
            "parameters_left": [own for own, _ in left],
            "parameters_physical": [physical for _, physical in left],
            "prunable": total,
            "remaining": remaining,
            "density": [n / total for n in remaining],
            "weights_remaining": [n / reference for n in remaining],
            "epochs_spent": job.recipe.epochs_spent,
            "steps": state.steps_an_epoch * (job.recipe.training.epochs - job.recipe.first_epoch),
            **used,
        },
    )


def _prunable_weights(module: nn.Module, network: Network) -> int:
    parameters = dict(module.named_parameters())
    return sum(parameters[name].numel() for name in prunable(module, network))
