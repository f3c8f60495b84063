"""A network with pruned filters computes what the smaller network without them does.

The smaller network is built here, from the tensors of the large one: sliced convolutions in a
plain chain for VGG, and for residual networks blocks that add the shortcut's channels to those
of the branch that are still there.
"""

from __future__ import annotations

import itertools
import json

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst import models, registry
from gst.pruning.size import parameters_left
from gst.recipe import Network
from gst.training.cohort import Cohort

FACTS = {name: entry.facts["filters"] for name, entry in registry.entries("gst.models").items()}
NAMES = sorted(name for name, filters in FACTS.items() if filters)
RESIDUAL = [name for name in NAMES if name.startswith("resnet")]
WIDTH = 0.3


def shape_for(name: str) -> tuple[int, int, int]:
    """Return the smallest images that a network takes, but 8x8 at least."""
    return (3, 32, 32) if name in ("vgg11", "vgg16", "vgg19") else (1, 8, 8)


def network(name: str) -> Network:
    return Network.parse(json.dumps({"name": name, "width": WIDTH}))


def used(name: str, generator: torch.Generator) -> nn.Module:
    """Return a narrow network in float64 of which nothing is as it was initialised."""
    module = models.build(network(name), 5, shape_for(name), generator).double()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.normal_(generator=generator)
                layer.bias.normal_(generator=generator)
            elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.normal_(generator=generator)
        for _ in range(3):
            module(images(name, generator))
    return module


def images(name: str, generator: torch.Generator) -> Tensor:
    return torch.randn(6, *shape_for(name), dtype=torch.float64, generator=generator) + 0.5


def draw_living(module: nn.Module, share: float, generator: torch.Generator) -> list[Tensor]:
    """Draw a share of the layers, and about half of the filters that live in each of them."""
    living = []
    for layer in module.filter_layers():
        alive = torch.rand(module.get_submodule(layer.conv).out_channels, generator=generator) < 0.5
        alive[0], alive[-1] = True, False
        hit = torch.rand(1, generator=generator) < share
        living.append(alive if hit else torch.ones_like(alive))
    return living


@torch.no_grad()
def prune(module: nn.Module, living: list[Tensor]) -> dict[str, Tensor]:
    """Mask the dead filters in place, close their gates, and return the masks."""
    masks = {}
    parameters = dict(module.named_parameters())
    for layer, alive in zip(module.filter_layers(), living, strict=True):
        for name in map(".".join, itertools.product((layer.conv, layer.norm), ("weight", "bias"))):
            if name in parameters:
                like = parameters[name]
                masks[name] = alive.view(-1, *[1] * (like.dim() - 1)).expand_as(like)
                like.mul_(masks[name])
        if layer.gate is not None:
            module.get_submodule(layer.gate).close(alive)
    return masks


@torch.no_grad()
def cut_conv(layer: nn.Conv2d, filters: Tensor, inputs: Tensor) -> nn.Conv2d:
    cut = nn.Conv2d(
        len(inputs), len(filters), layer.kernel_size, layer.stride, layer.padding,
        bias=layer.bias is not None, dtype=torch.float64,
    )  # fmt: skip
    cut.weight.copy_(layer.weight[filters][:, inputs])
    if layer.bias is not None:
        cut.bias.copy_(layer.bias[filters])
    return cut


def cut_norm(layer: nn.BatchNorm2d, channels: Tensor) -> nn.BatchNorm2d:
    cut = nn.BatchNorm2d(len(channels), dtype=torch.float64)
    for name, tensor in layer.state_dict().items():
        cut.state_dict()[name].copy_(tensor[channels] if tensor.dim() else tensor)
    return cut


def cut_dense(layer: nn.Linear, channels: Tensor, of: int) -> nn.Linear:
    """Cut a dense layer that reads each of `of` channels through one input a pixel."""
    pixels = layer.in_features // of
    inputs = (channels[:, None] * pixels + torch.arange(pixels)).flatten()
    cut = nn.Linear(len(inputs), layer.out_features, dtype=torch.float64)
    cut.load_state_dict({"weight": layer.weight[:, inputs], "bias": layer.bias})
    return cut


def cut_vgg(module: nn.Module, kept: list[Tensor]) -> nn.Sequential:
    layers: list[nn.Module] = []
    left, channels = list(kept), torch.arange(module.features.conv1.in_channels)
    for layer in module.features:
        if isinstance(layer, nn.Conv2d):
            before, channels, width = channels, left.pop(0), layer.out_channels
            layers.append(cut_conv(layer, channels, before))
        elif isinstance(layer, nn.BatchNorm2d):
            layers.append(cut_norm(layer, channels))
        else:
            layers.append(layer)
    return nn.Sequential(*layers, nn.Flatten(), cut_dense(module.classifier, channels, width))


class CutBlock(nn.Module):
    """A block whose input, inner and output channels are those listed of the large one's."""

    def __init__(self, block: nn.Module, before: Tensor, inner: Tensor, after: Tensor) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            cut_conv(block.conv1, inner, before), cut_norm(block.norm1, inner), nn.ReLU(),
            cut_conv(block.conv2, after, inner), cut_norm(block.norm2, after),
        )  # fmt: skip
        self.stride = block.conv1.stride[0]
        self.projection = None
        shortcut = block.sum.shortcut
        if isinstance(shortcut, nn.Sequential):
            conv, norm = shortcut
            self.projection = nn.Sequential(cut_conv(conv, after, before), cut_norm(norm, after))
            return
        offset = (block.conv1.out_channels - block.conv1.in_channels) // 2
        pairs = [
            (source, target)
            for source, channel in enumerate(before.tolist())
            for target, other in enumerate(after.tolist())
            if channel + offset == other
        ]
        self.source, self.target = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).unbind(1)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch(x)
        if self.projection is not None:
            return F.relu(branch + self.projection(x))
        pixels = x[:, :, :: self.stride, :: self.stride]
        return F.relu(branch.index_add(1, self.target, pixels[:, self.source]))


class Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


def cut_resnet(module: nn.Module, kept: list[Tensor]) -> nn.Sequential:
    channels = torch.arange(module.conv.out_channels)
    layers = [
        cut_conv(module.conv, channels, torch.arange(module.conv.in_channels)),
        cut_norm(module.norm, channels),
        nn.ReLU(),
    ]
    for number, block in enumerate(module.blocks):
        inner, after = kept[2 * number : 2 * number + 2]
        layers.append(CutBlock(block, channels, inner, after))
        channels = after
    dense = module.classifier
    return nn.Sequential(*layers, Pool(), cut_dense(dense, channels, dense.in_features))


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_pruned_is_as_if_cut_out(name: str, share: float) -> None:
    generator = torch.Generator().manual_seed(NAMES.index(name))
    module = used(name, generator)
    living = draw_living(module, share, generator)
    masks = prune(module, living)
    kept = [alive.nonzero().squeeze(1) for alive in living]
    small = (cut_resnet if name in RESIDUAL else cut_vgg)(module, kept)
    for training in (False, True, False):  # the training pass moves the statistics once more
        x = images(name, generator)
        torch.testing.assert_close(module.train(training)(x), small.train(training)(x))
    assert parameters_left(module, masks)[1] == sum(p.numel() for p in small.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_dead_channels_are_exactly_zero_where_they_are_read(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    module = used(name, generator)
    living = draw_living(module, 1.0, generator)
    prune(module, living)
    seen: list[Tensor] = []
    layers = module.filter_layers()
    for layer in layers:
        module.get_submodule(layer.activation).register_forward_hook(
            lambda _module, _inputs, output: seen.append(output.detach().clone())
        )
    module(images(name, generator))
    for activation, alive in zip(seen, living, strict=True):
        assert (activation[:, ~alive] == 0).all()
        assert (activation[:, alive] != 0).any((0, 2, 3)).all()
        assert (activation < 0).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["resnet20", "resnet20-a"])
def test_open_gates_change_no_bit(name: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(2)
    module = models.build(network(name), 5, (1, 8, 8), generator)
    for block in module.blocks:
        total = block.sum.to(dtype)
        inputs, outputs = block.conv1.in_channels, block.conv1.out_channels
        stride = block.conv1.stride[0]
        branch = torch.randn(2, outputs, 8 // stride, 8 // stride, generator=generator).to(dtype)
        x = torch.randn(2, inputs, 8, 8, generator=generator).to(dtype).requires_grad_()
        total.close(torch.ones(outputs))
        found, expected = total(branch, x), branch + total.shortcut(x)
        assert torch.equal(found, expected) and found.dtype == dtype
        grad = torch.randn(found.shape, generator=generator).to(dtype)
        assert torch.equal(*(torch.autograd.grad(value, x, grad)[0] for value in (found, expected)))


@pytest.mark.parametrize("name", RESIDUAL)
def test_gates_belong_to_the_state_of_a_replicate(name: str) -> None:
    cohort, again = (Cohort(network(name), 5, (1, 8, 8), keys) for keys in ([1, 2], [3, 4]))
    gates = [layer.gate for layer in cohort.modules[0].filter_layers() if layer.gate is not None]
    assert [f"{gate}.gate" for gate in gates] == [b for b in cohort.buffers if b.endswith("gate")]
    cohort.train(False)
    again.train(False)
    x = torch.randn(2, 3, 1, 8, 8)
    whole = cohort(x)
    for gate in gates:
        half = torch.arange(cohort.buffers[f"{gate}.gate"].shape[1]) % 2
        cohort.modules[1].get_submodule(gate).close(half)
    closed = cohort(x)
    assert torch.equal(closed[0], whole[0]) and not torch.equal(closed[1], whole[1])
    again.load_state(cohort.state())
    assert torch.equal(again(x), closed)
