"""Squared norms of single-example gradients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import grad, vmap

from gst.measures.flatness.loss import Loss
from gst.models.norm import BatchNorm

_NUMBERS = {"cpu": 2**20, "cuda": 2**26}
"""Numbers that a layer's gradients held at once may have; as many as fit a CPU's cache are fast."""
_WHOLE = 2**26
"""The same for gradients of the whole network; 256 MB in float32."""
_EXAMPLES = 128
"""Most of these at once; more are no faster on a CPU."""
_RANKS = {nn.Linear: 2, nn.Conv2d: 4, nn.BatchNorm2d: 4, BatchNorm: 4}
"""Layers with a rule, and the dimensions that their outputs must have for it."""

Masks = Mapping[str, Tensor | None]
"""Masks of a layer's own parameters, by their names in it; None where all weights are free."""
Hook = Callable[[nn.Module, tuple[Tensor], Tensor], None]
"""What is called after a layer, with the layer, its inputs and its output."""


def squared_norms(loss: Loss) -> tuple[Tensor, Tensor]:
    """Return the squared norm of every example's gradient, exactly, and the mean gradient.

    Layer by layer, or from whole gradients where a network has other layers.

    Args:
        loss: The loss; gradients are taken at the weights of its network.

    Returns:
        Squared norms over the free weights, float64 [N], and the mean gradient [d].
    """
    return (by_layer if has_rules(loss) else by_example)(loss)


def by_layer(loss: Loss) -> tuple[Tensor, Tensor]:
    """Return what `squared_norms` does, for a network that `has_rules`.

    In evaluation mode an example's loss depends on no other example. So one backward pass of the
    summed loss gives, at each layer's outputs, the derivative delta of every example's own loss,
    and with the layer's inputs x that example's gradient:

        dense layer    g = delta x^T            ||P g||^2 = (delta^2)^T M x^2
        convolution    g = sum_t delta_t x_t^T  ||g||^2 = sum_st (delta_s . delta_t) (x_s . x_t)
        batch norm     g = sum_t delta_t z_t

    with squares taken entrywise, M the mask of the layer's weights, x_t the patch of inputs under
    the output's pixel t, and z the normalised inputs; a bias has g = sum_t delta_t. The first is
    due to Goodfellow (2015, unmasked), patches to Rochette et al. (2019), and products of pixels,
    which take no gradient at all, to Dangel et al. (2020, BackPACK) and Bu et al. (2022, "ghost
    norm"). These serve where no weight is masked and the gradient is larger. Elsewhere a
    convolution's gradients are held for few examples at a time, and for no two layers at once.
    """
    found: list[Tensor] = []

    def watch(masks: Masks) -> Hook:
        def hook(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            x = inputs[0].detach()
            output.register_hook(lambda delta: found.extend(_squares(layer, x, delta, masks)))

        return hook

    free = {name: None if mask.all() else mask for name, mask in loss.masks.items()}
    squares, mean = [], torch.zeros_like(loss.weights)
    with _watching(
        (layer, watch({local: free[name] for local, name in names.items()}))
        for layer, names in _layers(loss)
    ):
        for images, labels in loss.chunks:
            weights = loss.weights.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss.total(weights, images, labels), weights)
            mean += gradient / loss.examples
            squares.append(torch.stack(found).sum(0, dtype=torch.float64))
            found.clear()
    return torch.cat(squares), mean


def by_example(loss: Loss) -> tuple[Tensor, Tensor]:
    """Return what `squared_norms` does, for any network, from every example's whole gradient."""
    size = max(1, min(_EXAMPLES, _WHOLE // len(loss.weights)))
    gradients = vmap(grad(lambda w, x, y: loss.total(w, x[None], y[None])), in_dims=(None, 0, 0))
    squares, mean = [], torch.zeros_like(loss.weights)
    for images, labels in loss.chunks:
        for x, y in zip(torch.split(images, size), torch.split(labels, size), strict=True):
            rows = gradients(loss.weights, x, y)
            squares.append(rows.square().sum(1).double())
            mean += rows.sum(0) / loss.examples
    return torch.cat(squares), mean


def has_rules(loss: Loss) -> bool:
    """Return whether each weight of a network belongs to one layer with a rule, called once.

    How often layers are called is seen on the first example.
    """
    layers = _layers(loss)
    calls: dict[nn.Module, list[int]] = defaultdict(list)

    def count(layer: nn.Module, _: tuple[Tensor], output: Tensor) -> None:
        calls[layer].append(output.ndim)

    with _watching((layer, count) for layer, _ in layers), torch.no_grad():
        loss.module(loss.chunks[0][0][:1])
    used = [name for _, names in layers for name in names.values()]
    return sorted(used) == sorted(loss.masks) and all(
        _has_rule(layer, names) and calls[layer] == [_RANKS[type(layer)]] for layer, names in layers
    )


def _has_rule(layer: nn.Module, names: Mapping[str, str]) -> bool:
    if type(layer) not in _RANKS or names.keys() | {"bias"} != {"weight", "bias"}:
        return False
    if isinstance(layer, nn.Conv2d):
        plain = layer.groups == 1 and layer.padding_mode == "zeros"
        return plain and not isinstance(layer.padding, str)
    return not isinstance(layer, nn.BatchNorm2d) or layer.running_mean is not None


def _layers(loss: Loss) -> list[tuple[nn.Module, dict[str, str]]]:
    """Return the modules with weights of their own: these by name in the module, and in all."""
    named = (
        (layer, [name for name, _ in layer.named_parameters(prefix, recurse=False)])
        for prefix, layer in loss.module.named_modules()
    )
    return [(layer, {name.rpartition(".")[2]: name for name in own}) for layer, own in named if own]


@contextmanager
def _watching(hooks: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    handles = [layer.register_forward_hook(hook) for layer, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _squares(layer: Any, x: Tensor, delta: Tensor, masks: Masks) -> Iterator[Tensor]:
    """Return the squared norms of the gradients of each of a layer's parameters, [B].

    Args:
        layer: The layer.
        x: Its inputs [B, in, ...].
        delta: Derivatives of each example's loss by the layer's outputs, [B, out, ...].
        masks: Which weights are free.
    """
    if "bias" in masks:
        yield _norms(delta.reshape(*delta.shape[:2], -1).sum(2), masks["bias"])
    if isinstance(layer, nn.Linear):
        yield _dense(x, delta, masks["weight"])
    elif isinstance(layer, nn.Conv2d):
        yield _convolution(layer, x, delta.flatten(2), masks["weight"])
    else:
        z = F.batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)
        yield _norms((delta * z).sum((2, 3)), masks["weight"])


def _dense(x: Tensor, delta: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return delta.square().sum(1) * x.square().sum(1)
    return (delta.square() @ mask * x.square()).sum(1)


def _convolution(layer: Any, x: Tensor, delta: Tensor, mask: Tensor | None) -> Tensor:
    out, pixels = delta.shape[1:]
    fan_in = x.shape[1] * prod(layer.kernel_size)
    by_pixels = mask is None and pixels * (out + fan_in) < out * fan_in
    few = max(1, _NUMBERS[x.device.type] // (fan_in * (pixels if by_pixels else max(out, pixels))))
    held = x.new_empty(0 if by_pixels else few, out, fan_in)
    squares = []
    for images, own in zip(torch.split(x, few), torch.split(delta, few), strict=True):
        patches = F.unfold(images, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        if by_pixels:
            squares.append(((own.mT @ own) * (patches.mT @ patches)).sum((1, 2)))
        else:
            gradients = torch.bmm(own, patches.mT, out=held[: len(own)])
            squares.append(_norms(gradients, mask))
    return torch.cat(squares)


def _norms(gradients: Tensor, mask: Tensor | None) -> Tensor:
    """Return the squared norms of masked gradients, [B]; overwrites the gradients."""
    if mask is not None:
        gradients *= mask.flatten(1) if mask.ndim > 1 else mask
    return gradients.square_().flatten(1).sum(1)
