"""Products of the Hessian with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.func import grad, vjp

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

    H v = d/dw <df/dw, v>, by reverse over reverse mode (Pearlmutter 1994): H is symmetric, so
    the vector-Jacobian product of the gradient is the product that is wanted. Up to 512 examples,
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

    def _products(self) -> Iterator[Callable[[Tensor], tuple[Tensor]]]:
        for images, labels in self._loss.chunks:
            gradient = grad(lambda w, x=images, y=labels: self._loss.total(w, x, y))
            yield vjp(gradient, self._loss.weights)[1]

    def __call__(self, vector: Tensor) -> Tensor:
        """Return H v for a vector [d]."""
        product = torch.zeros_like(vector)
        for multiply in self._kept or self._products():
            product += multiply(vector)[0]
        return product / self._loss.examples
