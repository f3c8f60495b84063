"""Which of the candidates an event hits: smallest, random or largest scores."""

from __future__ import annotations

import torch
from torch import Tensor

from gst.randomness import key
from gst.recipe import Target
from gst.training.loop import TrainingState


def priority(state: TrainingState, name: str, scores: Tensor, target: Target) -> Tensor:
    """Turn scores into numbers of which an event hits the lowest.

    Args:
        state: The run.
        name: What the scores belong to; with the seed and the epoch it keys the random numbers.
        scores: [R, ...].
        target: "S" hits the smallest scores, "L" the largest, "R" random candidates.

    Returns:
        Numbers of the scores' shape.
    """
    if target != "R":
        return -scores if target == "L" else scores
    draws = [
        torch.rand(
            scores.shape[1:],
            generator=torch.Generator().manual_seed(key(seed, f"prune {name}", state.epoch)),
        )
        for seed in state.seeds
    ]
    return torch.stack(draws).to(scores.device)
