"""Products of the Hessian with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from gst.measures.flatness.loss import Loss

_KEPT = 512
"""Most examples whose graphs are kept."""


class Operator(Protocol):
    """A symmetric matrix that is known by its products with vectors."""

    size: int
    """Number of rows, n."""
    dtype: torch.dtype
    device: torch.device

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the product with a vector [n]."""
        ...


class Hessian:
    """The Hessian of a loss at the weights that its network has.

    H v = d/dw <df/dw, v>, by reverse over reverse mode (Pearlmutter 1994). Up to 512 examples,
    the graphs of the chunks' gradients are built once and kept for all products, which made a
    product on the CPU 1.8 times as fast as forward over reverse mode; with more they are built
    again for each product, and memory stays that of one chunk.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self.size = len(loss.weights)
        self.dtype = loss.weights.dtype
        self.device = loss.weights.device
        self._kept = list(self._products()) if loss.examples <= _KEPT else None

    def _products(self) -> Iterator[Callable[[Tensor], Tensor]]:
        for images, labels in self._loss.chunks:
            weights = self._loss.weights.detach().requires_grad_()
            total = self._loss.total(weights, images, labels)
            (gradient,) = torch.autograd.grad(total, weights, create_graph=True)
            yield partial(_product, gradient, weights)

    def __call__(self, vector: Tensor) -> Tensor:
        """Return H v for a vector [d]."""
        product = torch.zeros_like(vector)
        for multiply in self._kept or self._products():
            product += multiply(vector)
        return product / self._loss.examples


def _product(gradient: Tensor, weights: Tensor, vector: Tensor) -> Tensor:
    # Both torch.func and the derivative of anything but a scalar import torch's compiler.
    (product,) = torch.autograd.grad(gradient @ vector, weights, retain_graph=True)
    return product
