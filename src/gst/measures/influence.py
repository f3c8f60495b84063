"""EL2N scores of every training example, from networks early in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gst.artifacts import write_npz
from gst.data.loaded import Dataset, LabelDraw
from gst.measures.el2n import el2n
from gst.randomness import key
from gst.recipe import Recipe, jsonable
from gst.training import interventions
from gst.training.capture import graph_capture
from gst.training.checkpoint import EVERY, Checkpoint
from gst.training.data import load_data
from gst.training.evaluate import logits
from gst.training.loop import Row, TrainingState, train
from gst.training.processes import ALONE, Processes
from gst.training.usage import Usage


@dataclass(frozen=True)
class Scoring:
    """One scoring of a data set's examples, and where it runs.

    Attributes:
        recipe: Dense training, up to the epoch at which scores are taken.
        networks: Independent networks a label draw, K.
        file: Where the scores go.
        checkpoints: Folder of the files to resume from.
        code: Fingerprint of the code, for the record.
        device: Where to train.
        checkpoint_every: Seconds between two checkpoints.
        processes: Those that train together; the first writes.
    """

    recipe: Recipe
    networks: int
    file: Path
    checkpoints: Path
    code: str
    device: torch.device
    checkpoint_every: float = EVERY
    processes: Processes = ALONE


def score_examples(job: Scoring, dataset: Dataset, labels: LabelDraw) -> None:
    """Score the training examples of every label draw with networks of its own; write the scores.

    All networks of all draws train as one cohort, each on the labels of its draw; on a streamed
    dataset one after the other, since each decodes and holds batches of its own.

    The file holds, for R draws, K networks and N examples, the scores float32 [R, K, N]: the error
    of images not augmented, in evaluation mode, against the labels trained on (Paul et al. 2021;
    regularization study, section 3); what `over_networks` returns; and the draws' seeds.

    Args:
        job: What to do.
        dataset: The examples.
        labels: The draws, one a replicate, [R, N].

    Raises:
        Interrupted: If the process was asked to stop; checkpoints are left.
        OSError: If the disk is full; the last checkpoints are left.
    """
    usage = Usage(job.device, job.processes)
    seeds = [key(s, "el2n", k) for s in labels.seeds for k in range(job.networks)]
    repeated = labels.labels.repeat(job.networks, axis=0)
    alone = range(len(seeds)) if dataset.stream else [slice(None)]
    groups = [slice(one, one + 1) if isinstance(one, int) else one for one in alone]
    files = [
        Checkpoint(
            job.checkpoints / f"{number}.safetensors",
            job.code,
            {"data": dataset.arrays() | {"labels": repeated[own]}},
            every=job.checkpoint_every,
            usage=usage,
            processes=job.processes,
        )
        for number, own in enumerate(groups)
    ]
    found = [
        _scores(job, seeds[own], dataset, repeated[own], file)
        for own, file in zip(groups, files, strict=True)
    ]
    used = usage.record()
    if job.processes.rank:
        return
    scores = np.concatenate(found).reshape(len(labels.seeds), job.networks, -1)
    write_npz(
        job.file,
        {"scores": scores, **over_networks(scores), "seeds": np.array(labels.seeds)},
        {
            "recipe": jsonable(job.recipe),
            "networks": job.networks,
            "epoch": job.recipe.training.epochs,
            "code": job.code,
            **used,
        },
    )
    for file in files:
        file.remove()


def _scores(
    job: Scoring,
    seeds: Sequence[int],
    dataset: Dataset,
    labels: np.ndarray,
    checkpoint: Checkpoint,
) -> np.ndarray:
    """Train one cohort and return its scores, [R, N]; its checkpoint stays, at its end."""
    recipe = job.recipe
    data = load_data(dataset, labels, recipe.training, job.device, job.processes)
    state = TrainingState(
        recipe, seeds, len(dataset.classes), dataset.shape, data.trained, job.device
    )

    def progress(rows: list[Row]) -> None:
        if job.processes.rank:
            return
        loss = sum(row["train_loss"] for row in rows) / len(rows)
        print(f"epoch {rows[0]['epoch']}/{recipe.training.epochs}  train loss {loss:.4f}")

    def measure(inputs: Tensor, own: Tensor) -> tuple[Tensor, ...]:
        return (el2n(logits(state.cohort, inputs, recipe.training.precision).float(), own),)

    with checkpoint.stop.listening():
        checkpoint.resume(state)
        train(
            state,
            data,
            interventions.make(recipe),
            capture=graph_capture(job.device) if data.resident else None,
            pause=checkpoint.pause,
            progress=progress,
        )
    if dataset.stream:
        checkpoint.save(state)
    (found,) = data.over_train(measure)
    return found.cpu().numpy()


def over_networks(scores: np.ndarray) -> dict[str, np.ndarray]:
    """Return how scores spread over networks, and the scores of two halves of the networks.

    Args:
        scores: Scores of each network, [R, K, N].

    Returns:
        spread, the standard deviation over networks (ddof 1), [R, N], and halves, the mean scores
        of the first and of the next K // 2 networks, [R, 2, N], float32; NaN for one network.
    """
    draws, networks, examples = scores.shape
    if networks < 2:
        spread = np.full((draws, examples), np.nan)
        halves = np.full((draws, 2, examples), np.nan)
    else:
        half = networks // 2
        spread = scores.std(axis=1, ddof=1, dtype=np.float64)
        parts = scores[:, : 2 * half].reshape(draws, 2, half, examples)
        halves = parts.mean(axis=2, dtype=np.float64)
    return {"spread": spread.astype(np.float32), "halves": halves.astype(np.float32)}
