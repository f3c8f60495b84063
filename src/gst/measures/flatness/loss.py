"""The loss of a network as a function of one vector of weights."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

_CHUNK = {"cpu": 128, "cuda": 512}
"""Images at once; on the CPU a product of VGG11 took 1.3 times as long with 512 as with 128."""


class Loss:
    """Mean cross-entropy of a network on fixed examples, over the weights that are free.

    f(w) = 1/N sum_n CE(network(x_n; w), y_n), with batch norm on its running statistics. The
    vector w holds all parameters, flattened, in the order of `named_parameters`. Masked weights
    stay at their values and are left out of w, so that derivatives with respect to w are those
    of the masked network: the Hessian is the block P H P of the free weights.

    Args:
        module: The network; it is copied, and left as it is.
        images: Normalised images [N, C, H, W].
        labels: int64 [N].
        mask: 1 for each free weight, 0 for each masked one, [P]; None if all are free.
        chunk: Images that are passed through the network at once; what is fast unless given.

    Attributes:
        module: The copy of the network, in evaluation mode.
        weights: The free weights [d] that the network has.
        examples: Number of examples.
        chunks: Images and labels, chunk by chunk.

    Raises:
        ValueError: If the labels or the mask do not fit.
    """

    def __init__(
        self,
        module: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        mask: Tensor | None = None,
        chunk: int | None = None,
    ) -> None:
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"expected a label for each of {len(images)} images, found {list(labels.shape)}"
            )
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        parameters = dict(self.module.named_parameters())
        self._shapes = {name: value.shape for name, value in parameters.items()}
        self._all = torch.cat([value.flatten() for value in parameters.values()])
        if mask is None:
            mask = torch.ones_like(self._all)
        if mask.shape != self._all.shape:
            raise ValueError(
                f"expected a mask of {len(self._all)} weights, found the shape {list(mask.shape)}"
            )
        self._free = mask.to(self._all.device).nonzero().squeeze(1)
        self.weights = self._all[self._free]
        self.examples = len(images)
        chunk = chunk or _CHUNK[images.device.type]
        self.chunks = list(zip(torch.split(images, chunk), torch.split(labels, chunk), strict=True))

    def by_parameter(self, flat: Tensor) -> dict[str, Tensor]:
        """Return a vector over all weights [P] as views of the parameters' names and shapes."""
        parts = torch.split(flat, [shape.numel() for shape in self._shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    @property
    def masks(self) -> dict[str, Tensor]:
        """1 for each free weight and 0 for each masked one, in the weights' type, by parameter."""
        return self.by_parameter(torch.zeros_like(self._all).index_fill(0, self._free, 1))

    def total(self, weights: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the summed cross-entropy of some examples at the given free weights [d]."""
        flat = self._all.index_copy(0, self._free, weights)
        logits = functional_call(self.module, self.by_parameter(flat), (images,))
        return F.cross_entropy(logits, labels, reduction="sum")

    @torch.no_grad()
    def __call__(self, weights: Tensor) -> Tensor:
        """Return the mean cross-entropy over all examples at the given free weights [d].

        It stays on the device, a float64 of no dimension.

        Images lie as channels_last here, since that makes a forward pass by itself 1.7 times as
        fast on the CPU; derivatives it makes slower.
        """
        total = torch.zeros((), dtype=torch.float64, device=weights.device)
        for images, labels in self.chunks:
            if images.ndim == 4:
                images = images.contiguous(memory_format=torch.channels_last)
            total += self.total(weights, images, labels)
        return total / self.examples
