"""EL2N scores of every training example, from networks early in training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gst.data.loaded import Dataset, LabelDraw
from gst.measures.el2n import el2n
from gst.randomness import key
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.checkpoint import Checkpoint
from gst.training.data import load_data
from gst.training.evaluate import logits
from gst.training.loop import Row, TrainingState, train
from gst.training.processes import ALONE, Processes


def score_examples(
    recipe: Recipe,
    networks: int,
    dataset: Dataset,
    labels: LabelDraw,
    device: torch.device,
    checkpoints: Path,
    code: str,
    processes: Processes = ALONE,
) -> np.ndarray:
    """Score the training examples of every label draw with networks of its own.

    All networks of all draws train as one cohort, each on the labels of its draw; on a streamed
    dataset one after the other, since each decodes and holds batches of its own.

    Args:
        recipe: Dense training, up to the epoch at which scores are taken.
        networks: Independent networks a draw, K.
        dataset: The examples.
        labels: The draws, one a replicate, [R, N].
        device: Where to train.
        checkpoints: Folder of the files to resume from.
        code: Fingerprint of the code; checkpoints of other code are not used.
        processes: Those that train together.

    Returns:
        Scores float32 [R, K, N]: the error of images not augmented, in evaluation mode,
        against the labels trained on (Paul et al. 2021; regularization study, section 3).

    Raises:
        Interrupted: If the process was asked to stop; checkpoints are left.
    """
    seeds = [key(s, "el2n", k) for s in labels.seeds for k in range(networks)]
    repeated = labels.labels.repeat(networks, axis=0)
    alone = range(len(seeds)) if dataset.stream else [slice(None)]
    groups = [slice(one, one + 1) if isinstance(one, int) else one for one in alone]
    files = [
        Checkpoint(checkpoints / f"{number}.safetensors", code, processes=processes)
        for number in range(len(groups))
    ]
    scores = [
        _scores(recipe, seeds[own], dataset, repeated[own], device, file)
        for own, file in zip(groups, files, strict=True)
    ]
    if not processes.rank:
        for file in files:
            file.remove()
    return np.concatenate(scores).reshape(len(labels.seeds), networks, -1)


def _scores(
    recipe: Recipe,
    seeds: Sequence[int],
    dataset: Dataset,
    labels: np.ndarray,
    device: torch.device,
    checkpoint: Checkpoint,
) -> np.ndarray:
    """Train one cohort and return its scores, [R, N]; its checkpoint stays, at its end."""
    data = load_data(dataset, labels, recipe.training, device, checkpoint.processes)
    state = TrainingState(recipe, seeds, len(dataset.classes), dataset.shape, data.trained, device)

    def progress(rows: list[Row]) -> None:
        if checkpoint.processes.rank:
            return
        loss = sum(row["train_loss"] for row in rows) / len(rows)
        print(f"epoch {rows[0]['epoch']}/{recipe.training.epochs}  train loss {loss:.4f}")

    def measure(inputs: Tensor, own: Tensor) -> tuple[Tensor, ...]:
        return (el2n(logits(state.cohort, inputs, recipe.training.precision).float(), own),)

    with checkpoint.stop.listening():
        checkpoint.resume(state)
        train(state, data, interventions.make(recipe), pause=checkpoint.pause, progress=progress)
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
