"""EL2N scores of every training example, from networks early in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gst.data.loaded import Dataset, LabelDraw
from gst.measures.el2n import el2n
from gst.randomness import key
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.evaluate import logits
from gst.training.loop import DeviceData, Row, TrainingState, train


def score_examples(
    recipe: Recipe, networks: int, dataset: Dataset, labels: LabelDraw, device: torch.device
) -> np.ndarray:
    """Score the training examples of every label draw with networks of its own.

    All networks of all draws train as one cohort, each on the labels of its draw.

    Args:
        recipe: Dense training, up to the epoch at which scores are taken.
        networks: Independent networks a draw, K.
        dataset: The examples.
        labels: The draws, one a replicate, [R, N].
        device: Where to train.

    Returns:
        Scores float32 [R, K, N]: the error of images not augmented, in evaluation mode,
        against the labels trained on (Paul et al. 2021; regularization study, section 3).
    """
    seeds: Sequence[int] = [key(s, "el2n", k) for s in labels.seeds for k in range(networks)]
    data = DeviceData.load(dataset, labels.labels.repeat(networks, axis=0), recipe.training, device)
    state = TrainingState(
        recipe, seeds, len(dataset.classes), dataset.shape, len(data.images), device
    )

    def progress(rows: list[Row]) -> None:
        loss = sum(row["train_loss"] for row in rows) / len(rows)
        print(f"epoch {rows[0]['epoch']}/{recipe.training.epochs}  train loss {loss:.4f}")

    train(state, data, interventions.make(recipe), progress=progress)
    found = logits(state.cohort, data.train_inputs(), recipe.training.precision)
    scores = el2n(found.float(), data.labels)
    return scores.reshape(len(labels.seeds), networks, -1).cpu().numpy()


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
