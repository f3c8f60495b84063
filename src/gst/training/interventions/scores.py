"""Scores of single weights in a run, with the gradients that some of them need."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst import registry
from gst.pruning.weight_scores import Weights
from gst.randomness import key
from gst.training.loop import Data, DeviceData, TrainingState

SCORES = "gst.pruning.weight_scores"

Gradients = dict[str, Tensor]
"""For each prunable parameter, [R, ...]."""


def score_weights(
    state: TrainingState, score: str, moment: int, data: Data | None = None
) -> dict[str, Tensor]:
    """Score the prunable weights of every replicate.

    Args:
        state: The run.
        score: Name of the registered score.
        moment: Number of the level, or of the epoch, at which weights are pruned; with the seed
            and the layer it keys random scores.
        data: What the run trains on; needed by scores that need gradients.

    Returns:
        For each prunable parameter, [R, ...].

    Raises:
        ValueError: If the score needs gradients and there are no data in memory.
    """
    needed = registry.find(SCORES, score).facts.get("gradient")
    gradients: Gradients = {}
    if needed:
        if data is None:
            raise ValueError(f"the score {score!r} needs gradients, which are not taken here")
        if not isinstance(data, DeviceData):
            raise ValueError(f"the score {score!r} needs images in memory; they are streamed")
        gradients = loss_gradients(state, data) if needed == "loss" else flow_gradients(state, data)
    function = registry.load(SCORES, score)
    return {
        name: function(
            Weights(
                state.cohort.weights[name].detach(),
                [key(seed, f"prune {name}", moment) for seed in state.seeds],
                gradients.get(name),
            )
        )
        for name in state.prunable
    }


def loss_gradients(state: TrainingState, data: DeviceData) -> Gradients:
    """Return the gradient of each replicate's mean training loss.

    Evaluation mode, images not augmented, labels as trained on, summed batch by batch in float32.
    """
    size, examples = state.recipe.training.batch_size, len(data.images)
    state.cohort.train(False)
    found = []
    for module, labels in zip(state.cohort.modules, data.labels, strict=True):
        weights = _prunable(state, module)
        total = [torch.zeros_like(weight) for weight in weights]
        for images, own in zip(data.images.split(size), labels.split(size), strict=True):
            loss = F.cross_entropy(module(data.normalise(images)), own, reduction="sum")
            for mean, part in zip(total, torch.autograd.grad(loss, weights), strict=True):
                mean.add_(part, alpha=1 / examples)
        found.append(total)
    return _stacked(state, found)


def flow_gradients(state: TrainingState, data: DeviceData) -> Gradients:
    """Return the gradient of each replicate's flow, in the magnitudes of the weights.

    The flow is the sum of the outputs for an input of ones, in evaluation mode, of the network
    whose parameters are replaced by their magnitudes; buffers stay. In float64, since a product
    over many layers leaves the range of float32.
    """
    ones = torch.ones(1, *data.images.shape[1:], dtype=torch.float64, device=data.images.device)
    state.cohort.train(False)
    found = []
    for module in state.cohort.modules:
        tensors = {
            name: tensor.detach().double() if tensor.is_floating_point() else tensor
            for name, tensor in module.named_buffers()
        }
        tensors |= {
            name: weight.detach().double().abs().requires_grad_()
            for name, weight in module.named_parameters()
        }
        flow = torch.func.functional_call(module, tensors, (ones,)).sum()
        found.append(torch.autograd.grad(flow, [tensors[name] for name in state.prunable]))
    return _stacked(state, found)


def _prunable(state: TrainingState, module: nn.Module) -> list[Tensor]:
    parameters = dict(module.named_parameters())
    return [parameters[name] for name in state.prunable]


def _stacked(
    state: TrainingState, found: list[list[Tensor]] | list[tuple[Tensor, ...]]
) -> Gradients:
    return {
        name: torch.stack([gradients[i] for gradients in found])
        for i, name in enumerate(state.prunable)
    }
