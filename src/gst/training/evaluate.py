"""Loss and correctness of every example, for every replicate."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from gst.training.cohort import Cohort

CHUNK = 2048
"""Examples evaluated at once; fixed, since it decides the last bits of convolutions."""


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each example, [R, B], of logits [R, B, C]."""
    flat = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
    return flat.view(labels.shape)


def casting(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which a network runs in the recipe's precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@torch.inference_mode()
def logits(cohort: Cohort, inputs: Tensor, precision: str = "float32") -> Tensor:
    """Return every replicate's logits [R, N, C] for the same inputs [N, C, H, W].

    The cohort is left in evaluation mode.
    """
    cohort.train(False)
    with casting(cohort.device, precision):
        return torch.cat(
            [cohort(x.expand(len(cohort), *x.shape)) for x in inputs.split(CHUNK)], dim=1
        )


@torch.inference_mode()
def evaluate(
    cohort: Cohort, inputs: Tensor, labels: Tensor, precision: str = "float32"
) -> tuple[Tensor, Tensor]:
    """Measure a split in evaluation mode.

    Args:
        cohort: The replicates; left in evaluation mode.
        inputs: Normalised images [N, C, H, W].
        labels: int64, [N] or one row a replicate [R, N].
        precision: As in the recipe.

    Returns:
        Cross-entropy float32 [R, N], and whether the largest logit is the label's, bool [R, N].
    """
    found = logits(cohort, inputs, precision)
    labels = labels.expand(len(cohort), -1)
    return losses(found, labels), found.argmax(2) == labels
