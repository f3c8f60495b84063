"""SGD and Adam over lists of tensors, and the learning-rate schedule.

The updates are torch.optim's. (torch.optim itself takes a second of imports a job.) On the CPU
they are written with operations that round once each: a tensor's new value then does not depend on
which others it lies beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gst.recipe import Adam, Sgd, Training


class Optimiser:
    """The update of lists of tensors, their masked entries held at zero.

    What differs from step to step is in tensors, so that a captured update can be replayed.

    Args:
        settings: Kind and hyper-parameters.
        leaves: The tensors to update in place, one list a part of the cohort.
        slots: The moments to keep, by name, one tensor a leaf.
        fused: Update with torch's fused kernels, which read and write every number once. They
            round otherwise, and may do so by where a number lies.

    Attributes:
        steps: Number of updates made so far, which the caller counts.
    """

    def __init__(
        self,
        settings: Sgd | Adam,
        leaves: list[list[Tensor]],
        slots: Mapping[str, list[list[Tensor]]],
        *,
        fused: bool,
    ) -> None:
        self.settings = settings
        self.leaves = leaves
        self.slots = slots
        self.fused = fused
        self.steps = 0

    @staticmethod
    def slot_names(settings: Sgd | Adam) -> tuple[str, ...]:
        """Return the names of the moments that these settings need."""
        if isinstance(settings, Adam):
            return ("mean", "square")
        return ("momentum",) if settings.momentum else ()

    def factors(self, rates: Sequence[float], *, before: int) -> Tensor:
        """Return the factors of consecutive updates that change with the update.

        Args:
            rates: Learning rate of each update.
            before: Number of updates before the first of them.

        Returns:
            One row an update, on the device, with t its number from 1 on: the learning rate and t;
            for Adam that is not fused lr / (1 - beta1^t) and sqrt(1 - beta2^t).
        """
        s, like = self.settings, self.leaves[0][0]
        rows = [
            [rate / (1 - s.beta1**t), (1 - s.beta2**t) ** 0.5]
            if isinstance(s, Adam) and not self.fused
            else [rate, t]
            for t, rate in enumerate(rates, start=before + 1)
        ]
        return torch.tensor(rows, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def update(
        self, part: int, grads: list[Tensor], factors: Tensor, masks: Mapping[int, Tensor]
    ) -> None:
        """Make one update of a part.

        Args:
            part: Its number.
            grads: Gradients, one a leaf of the part; overwritten.
            factors: Its row of `factors`.
            masks: By the number of a leaf, 1.0 where it is alive and 0.0 where it is pruned.
        """
        if masks:  # Decay leaves a zero as it is.
            torch._foreach_mul_([grads[i] for i in masks], list(masks.values()))
        slots = {name: moments[part] for name, moments in self.slots.items()}
        update = _fused if self.fused else _rounded
        update(self.settings, self.leaves[part], slots, grads, factors)


def _rounded(
    s: Sgd | Adam,
    leaves: list[Tensor],
    slots: Mapping[str, list[Tensor]],
    grads: list[Tensor],
    factors: Tensor,
) -> None:
    """Update with operations that round once each."""
    if s.weight_decay:
        torch._foreach_add_(grads, torch._foreach_mul(leaves, s.weight_decay))
    if isinstance(s, Sgd):
        if s.momentum:
            momentum = slots["momentum"]
            torch._foreach_mul_(momentum, s.momentum)
            torch._foreach_add_(momentum, grads)
            torch._foreach_copy_(grads, momentum)
        torch._foreach_mul_(grads, factors[0])
        torch._foreach_sub_(leaves, grads)
        return
    mean, square = slots["mean"], slots["square"]
    torch._foreach_mul_(square, s.beta2)
    squares = torch._foreach_mul(grads, grads)
    torch._foreach_mul_(squares, 1 - s.beta2)
    torch._foreach_add_(square, squares)
    torch._foreach_mul_(mean, s.beta1)
    torch._foreach_mul_(grads, 1 - s.beta1)
    torch._foreach_add_(mean, grads)
    torch._foreach_copy_(squares, square)
    torch._foreach_sqrt_(squares)
    torch._foreach_div_(squares, factors[1])
    torch._foreach_add_(squares, s.eps)
    torch._foreach_copy_(grads, mean)
    torch._foreach_div_(grads, squares)
    torch._foreach_mul_(grads, factors[0])
    torch._foreach_sub_(leaves, grads)


def _fused(
    s: Sgd | Adam,
    leaves: list[Tensor],
    slots: Mapping[str, list[Tensor]],
    grads: list[Tensor],
    factors: Tensor,
) -> None:
    """Update with torch's fused kernels, which want gradients to lie as their leaves do."""
    grads = [
        grad if grad.stride() == leaf.stride() else torch.empty_like(leaf).copy_(grad)
        for grad, leaf in zip(grads, leaves, strict=True)
    ]
    rate, number = factors
    if isinstance(s, Sgd):
        torch._fused_sgd_(
            leaves,
            grads,
            slots.get("momentum", []),
            weight_decay=s.weight_decay,
            momentum=s.momentum,
            lr=rate,
            dampening=0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        return
    torch._fused_adam_(
        leaves,
        grads,
        slots["mean"],
        slots["square"],
        [],
        [number] * len(leaves),
        lr=rate,
        beta1=s.beta1,
        beta2=s.beta2,
        weight_decay=s.weight_decay,
        eps=s.eps,
        amsgrad=False,
        maximize=False,
    )


def learning_rate(training: Training, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step.

    Args:
        training: The schedule.
        epoch: Epoch, from 0.
        step: Step within the epoch, from 0.
        steps: Steps an epoch.

    Returns:
        The learning rate: multiplied by gamma at every milestone, after a linear warm-up that
        ends with the full rate at its last step.
    """
    passed = sum(epoch >= milestone for milestone in training.milestones)
    lr = training.optimiser.lr * training.gamma**passed
    if epoch < training.warmup_epochs:
        lr *= (epoch * steps + step + 1) / (training.warmup_epochs * steps)
    return lr
