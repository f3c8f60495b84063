"""A cohort: several replicates of one network, trained together on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gst import models
from gst.models.dropout import Dropout
from gst.models.gate import GatedSum
from gst.randomness import key
from gst.recipe import Network

_ALIGNMENT = 16  # float32 numbers in 64 bytes
_DENSE = ("weight", "bias")


def _stack(parts: Sequence[Tensor], device: torch.device, *, aligned: bool) -> Tensor:
    """Stack tensors, if aligned so that each begins where it would begin alone, at 64 bytes.

    Those of four dimensions lie in memory as channels_last, which convolutions prefer.
    """
    shape, size = parts[0].shape, parts[0].numel()
    stride = -(-size // _ALIGNMENT) * _ALIGNMENT if aligned else size
    storage = torch.zeros(len(parts), stride, dtype=parts[0].dtype, device=device)
    if len(shape) == 4:
        out, channels, height, width = shape
        stacked = storage[:, :size].unflatten(1, (out, height, width, channels))
        stacked = stacked.permute(0, 1, 4, 2, 3)
    else:
        stacked = storage[:, :size].unflatten(1, shape) if shape else storage[:, 0]
    for row, part in zip(stacked, parts, strict=True):
        row.copy_(part)
    return stacked


def _aligned(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy of it that begins at 64 bytes."""
    return tensor if tensor.data_ptr() % (4 * _ALIGNMENT) == 0 else tensor.clone()


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    target = _aligned(out)
    torch.mm(_aligned(a), _aligned(b), out=target)
    if target is not out:
        out.copy_(target)


class _Dense(torch.autograd.Function):
    """A dense layer of every replicate, x [R, B, in], w [R, out, in], b [R, out]; with its ReLU.

    On the CPU the gradients of w and b are written to memory that every step uses again; fresh
    memory costs a tenth of a step.

    On the CPU one product a replicate, of operands that begin at 64 bytes. Batched products on
    several threads, and products of operands that begin elsewhere, were seen to differ in
    their last bits between a replicate alone and in company.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        grad_weight: Tensor,
        grad_bias: Tensor,
        relu: bool,
    ) -> Tensor:
        if x.is_cuda:
            out = _biased_product(x, weight, bias, relu)
        else:
            out = x.new_empty(*x.shape[:2], weight.shape[1])
            for r in range(len(x)):
                _product(x[r], weight[r].t(), out[r])
            out.add_(bias.unsqueeze(1))
            if relu:
                out.relu_()
        ctx.save_for_backward(x, weight, out if relu else None)
        ctx.grads = grad_weight, grad_bias
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, out = ctx.saved_tensors
        (grad,) = grads
        if out is not None:
            grad = torch.ops.aten.threshold_backward(grad, out, 0)
        if grad.is_cuda:
            grad_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
            return grad_x, torch.bmm(grad.transpose(1, 2), x), grad.sum(1), None, None, None
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_weight, grad_bias = ctx.grads
        for r in range(len(x)):
            own = _aligned(grad[r])
            if grad_x is not None:
                _product(own, weight[r], grad_x[r])
            _product(own.t(), x[r], grad_weight[r])
            torch.sum(own, 0, out=grad_bias[r])
        return grad_x, grad_weight, grad_bias, None, None, None


def _biased_product(x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """Return x w^T + b, perhaps with a ReLU, in as few kernels as a GPU has for it."""
    if len(x) > 1:
        out = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
        return out.relu_() if relu else out
    one = torch._addmm_activation if relu else torch.addmm
    return one(bias[0], x[0], weight[0].t()).unsqueeze(0)


class _Layer:
    """A dense layer of every replicate, and the ReLU after it, if there is one."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.relu = False
        self._tensors = tensors

    def __call__(self, x: Tensor) -> Tensor:
        return _Dense.apply(x, *self._tensors, self.relu)


class Part(Protocol):
    """Replicates that run on their own: all at once, or one."""

    replicates: slice
    """Which they are."""
    leaves: list[Tensor]
    """The tensors that gradients are taken for."""

    def __call__(self, images: Tensor) -> Tensor:
        """Map images [R, B, C, H, W] of these replicates to logits [R, B, classes]."""
        ...


class _Stack:
    """All replicates of a network of dense layers, run at once on the stacks."""

    def __init__(
        self, module: nn.Module, weights: Mapping[str, Tensor], grads: Mapping[str, Tensor]
    ) -> None:
        self.replicates = slice(None)
        self.leaves = [weight.requires_grad_() for weight in weights.values()]
        self._layers: list[Callable[[Tensor], Tensor]] = []
        for name, layer in module.named_children():
            before = self._layers[-1] if self._layers else None
            if isinstance(layer, nn.Linear):
                tensors = [
                    stacks[f"{name}.{kind}"] for stacks in (weights, grads) for kind in _DENSE
                ]
                self._layers.append(_Layer(tensors))
            elif isinstance(layer, nn.Flatten):
                self._layers.append(partial(torch.flatten, start_dim=2))
            elif isinstance(before, _Layer):
                before.relu = True
            else:
                self._layers.append(torch.relu)

    def __call__(self, images: Tensor) -> Tensor:
        x = images
        for layer in self._layers:
            x = layer(x)
        return x


class _Single:
    """One replicate, run by its module."""

    def __init__(self, module: nn.Module, replicate: int) -> None:
        self.replicates = slice(replicate, replicate + 1)
        self.leaves: list[Tensor] = list(module.parameters())
        self._module = module

    def __call__(self, images: Tensor) -> Tensor:
        return self._module(
            _aligned(images[0].contiguous(memory_format=torch.channels_last))
        ).unsqueeze(0)


class Cohort:
    """Replicates of one network, their tensors stacked: [R, ...].

    Attributes:
        device: The device that it lives on.
        modules: One module a replicate; their parameters and buffers are rows of the stacks.
        weights: Parameters by name, [R, ...].
        buffers: Buffers by name, [R, ...].
        parts: What runs on its own, in the order of the replicates: all of them at once if the
            whole network runs on the stacks, else one part a replicate.
    """

    def __init__(
        self,
        network: Network,
        classes: int,
        shape: tuple[int, int, int],
        keys: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        stacked: bool = True,
    ) -> None:
        """Build and initialise a cohort.

        Args:
            network: What to build.
            classes: Number of classes.
            shape: Channels, height and width of an image.
            keys: One key a replicate, of the stream that its initial weights are drawn from.
            device: Where it lives.
            stacked: Run networks of dense layers on the stacks, all replicates at once, but for
                those with dropout.
        """
        self.modules = [
            models.build(network, classes, shape, torch.Generator().manual_seed(k)) for k in keys
        ]
        first = self.modules[0]
        dense = isinstance(first, nn.Sequential) and all(
            isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in first
        )
        self._stacked = stacked and dense and not network.dropout
        self.device = torch.device(device)
        # Fused updates on a GPU, of whole stacks, want them without gaps.
        self._aligned = not (self._stacked and self.device.type == "cuda")
        self.weights = self._share([dict(m.named_parameters()) for m in self.modules])
        self.buffers = self._share([dict(m.named_buffers()) for m in self.modules])
        layers = [layer for module in self.modules for layer in module.modules()]
        self._dropouts = [layer for layer in layers if isinstance(layer, Dropout)]
        self.parts: Sequence[Part]
        if self._stacked:
            self.parts = [_Stack(first, self.weights, self.like_weights())]
        else:
            self.parts = [_Single(module, r) for r, module in enumerate(self.modules)]

    def _stack(self, parts: Sequence[Tensor]) -> Tensor:
        return _stack(parts, self.device, aligned=self._aligned)

    def _share(self, named: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Stack the modules' tensors of each name, and put the rows in the modules."""
        stacks = {}
        for name in named[0]:
            stacks[name] = self._stack([tensors[name].detach() for tensors in named])
            place, _, own = name.rpartition(".")
            for row, tensors, module in zip(stacks[name], named, self.modules, strict=True):
                trained = isinstance(tensors[name], nn.Parameter)
                setattr(module.get_submodule(place), own, nn.Parameter(row) if trained else row)
        return stacks

    def __len__(self) -> int:
        """Return the number of replicates."""
        return len(self.modules)

    def per_leaf(self, tensors: Mapping[str, Tensor]) -> list[dict[int, Tensor]]:
        """Lay tensors stacked as the weights are out beside the leaves.

        Args:
            tensors: By the name of a parameter, [R, ...]; not every parameter need be named.

        Returns:
            For each part, by the number of a leaf, the view of the stack that belongs to it.
        """
        numbers = {name: number for number, name in enumerate(self.weights)}
        return [
            {
                numbers[name]: tensor if self._stacked else tensor[part.replicates.start]
                for name, tensor in tensors.items()
            }
            for part in self.parts
        ]

    def like_weights(self, names: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Return zeros laid out as the weights of these names, or as all, are."""
        return {
            name: self._stack([torch.zeros(self.weights[name].shape[1:])] * len(self))
            for name in (self.weights if names is None else names)
        }

    def train(self, mode: bool = True) -> None:
        """Set every module to training or evaluation mode."""
        for module in self.modules:
            module.train(mode)

    def draw_dropout(self, keys: Sequence[int], examples: int) -> None:
        """Draw what the next step's dropout keeps, for `examples` a replicate, by its key."""
        for layer, own in zip(self._dropouts, keys, strict=True):
            layer.draw(own, examples, self.device)

    def __call__(self, images: Tensor) -> Tensor:
        """Map images [R, B, C, H, W] to logits [R, B, classes]."""
        return torch.cat([part(images[part.replicates]) for part in self.parts])

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of weights/<name> and buffers/<name>, [R, ...], as files hold them."""
        return {
            f"{kind}/{name}": tensor.detach().cpu().numpy().copy()
            for kind, tensors in (("weights", self.weights), ("buffers", self.buffers))
            for name, tensor in tensors.items()
        }

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Take weights and buffers as `state` returns them.

        Raises:
            ValueError: If a tensor is missing or has another shape.
        """
        for kind, own in (("weights", self.weights), ("buffers", self.buffers)):
            for name, tensor in own.items():
                found = tensors.get(f"{kind}/{name}")
                if found is None or found.shape != tuple(tensor.shape):
                    shape = "missing" if found is None else f"of shape {found.shape}"
                    raise ValueError(
                        f"{kind}/{name} should have the shape {tuple(tensor.shape)}, is {shape}"
                    )
                tensor.copy_(torch.from_numpy(found))
        for module in self.modules:
            for layer in module.modules():
                if isinstance(layer, GatedSum):
                    layer.look()


def initial_keys(seeds: Sequence[int]) -> list[int]:
    """Return the keys that replicates of these seeds are initialised from."""
    return [key(seed, "init") for seed in seeds]


def prunable(module: nn.Module, network: Network) -> list[str]:
    """Return the names of the weights that pruning may remove, in network order.

    These are the weights of convolutions and dense layers, but for the last dense layer where
    the network keeps it; biases and batch norms are not pruned (Frankle and Carbin 2019).
    """
    layers = [
        (f"{name}.weight", layer)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    if network.keep_last_layer:
        last = [name for name, layer in layers if isinstance(layer, nn.Linear)][-1]
        layers = [(name, layer) for name, layer in layers if name != last]
    return [name for name, _ in layers]
