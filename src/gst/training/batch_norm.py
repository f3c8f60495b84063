"""Batch norm whose statistics are those of the whole batch, not of a process's share.

nn.SyncBatchNorm does the same on GPUs alone; this runs on CPUs too.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst.training.processes import Processes


class _Normalise(torch.autograd.Function):
    """Normalise x [B, C, H, W] by statistics over all processes; also return these."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, processes: Processes
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        number = x.numel() // x.shape[1]
        sums = torch.zeros(3, x.shape[1], dtype=torch.float64, device=x.device)
        if number:
            variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
            mean, variance = mean.double(), variance.double()
            sums[0], sums[1], sums[2] = mean, variance + mean.square(), 1
            sums *= number
        processes.add_up([sums])
        total = sums[2, 0]
        mean = sums[0] / total
        variance = (sums[1] / total - mean.square()).clamp(min=0)
        mean, variance = mean.float(), variance.float()
        ctx.save_for_backward(x, weight, mean, variance, total)
        ctx.eps, ctx.processes = eps, processes
        ctx.mark_non_differentiable(mean, variance, total)
        y = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps) if number else x.clone()
        return y, mean, variance, total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, total = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        inverse = (variance + ctx.eps).rsqrt()
        centred = x.float().sub(mean[:, None, None]).mul_(inverse[:, None, None])
        grad_bias = grad.sum((0, 2, 3), dtype=torch.float32)
        grad_weight = (grad * centred).sum((0, 2, 3), dtype=torch.float32)
        both = torch.stack([grad_bias, grad_weight])
        ctx.processes.add_up([both])
        mean_grad, mean_product = (both / total.float())[..., None, None]
        scale = (weight * inverse)[:, None, None]
        grad_x = scale * (grad - mean_grad - centred * mean_product)
        return grad_x.to(x.dtype), grad_weight, grad_bias, None, None


class SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm with the parameters and buffers of another, over all processes."""

    def __init__(self, norm: nn.BatchNorm2d, processes: Processes) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.processes = processes

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape; B may be 0 where other processes have examples."""
        if not self.training:
            return super().forward(x)
        y, mean, variance, total = _Normalise.apply(
            x, self.weight, self.bias, self.eps, self.processes
        )
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None
        with torch.no_grad():
            unbiased = variance * (total / (total - 1)).float()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return y


def share_batch_norms(module: nn.Module, processes: Processes) -> None:
    """Let the batch norms of a network take their statistics over all processes."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SharedBatchNorm(child, processes))
        else:
            share_batch_norms(child, processes)
