"""Small problems in float64, and their Hessians from all second derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gst.measures.flatness.loss import Loss

torch.set_num_threads(1)


@dataclass
class Problem:
    module: nn.Module
    images: Tensor
    labels: Tensor
    mask: Tensor | None

    def loss(self, chunk: int = 512) -> Loss:
        return Loss(self.module, self.images, self.labels, mask=self.mask, chunk=chunk)

    def at(self, weights: Tensor) -> Tensor:
        """Return the loss of all weights [P], by a way that shares no code with `Loss`."""
        place = 0
        state = {}
        for name, parameter in self.module.named_parameters():
            state[name] = weights[place : place + parameter.numel()].reshape(parameter.shape)
            place += parameter.numel()
        logits = torch.func.functional_call(self.module, state, (self.images,))
        chosen = logits.gather(1, self.labels[:, None]).squeeze(1)
        return (logits.logsumexp(1) - chosen).mean()

    @property
    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.module.parameters()])

    def hessian(self) -> Tensor:
        """Return the dense Hessian over the free weights."""
        dense = torch.func.jacrev(torch.func.grad(self.at))(self.weights)
        if self.mask is None:
            return dense
        free = self.mask.bool()
        return dense[free][:, free]


class ConvNet(nn.Module):
    """Two convolutions with batch norm, pool, in-place ReLU and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv2, self.norm2 = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.dense = nn.Linear(12, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(images)))
        x = self.pool(self.relu(self.norm2(self.conv2(x)) + x))
        return self.dense(x.flatten(1))


def _network(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    if name == "dense":
        layers = nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)
        return nn.Sequential(*layers), (6,)
    return ConvNet(), (2, 4, 4)


@pytest.fixture(params=["dense", "dense-masked", "conv", "conv-masked"])
def problem(request: pytest.FixtureRequest) -> Problem:
    name = request.param
    torch.manual_seed(0)
    module, shape = _network(name.split("-")[0])
    module.double()
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    module.eval()
    mask = None
    if name.endswith("masked"):
        mask = (torch.rand(sum(p.numel() for p in module.parameters())) < 0.5).double()
        place = 0
        for parameter in module.parameters():
            own = mask[place : place + parameter.numel()].reshape(parameter.shape)
            parameter.data.mul_(own)
            place += parameter.numel()
    images = torch.randn(11, *shape, dtype=torch.float64)
    return Problem(module, images, torch.randint(0, 3, (11,)), mask)


@pytest.fixture
def regression() -> Problem:
    """Softmax regression: a linear layer, whose Hessian has a closed form."""
    torch.manual_seed(1)
    images = torch.randn(9, 4, dtype=torch.float64)
    return Problem(nn.Linear(4, 3).double(), images, torch.randint(0, 3, (9,)), None)


def softmax_regression_hessian(problem: Problem) -> Tensor:
    """Return mean (diag(p) - p p^T) x (x, 1)(x, 1)^T, weights [C, D] first, then biases [C]."""
    x = problem.images
    p = F.softmax(problem.module(x), 1).detach()
    inputs = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    classes = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    blocks = torch.einsum("nab,ni,nj->aibj", classes, inputs, inputs) / len(x)
    c, d = p.shape[1], x.shape[1]
    order = [a * (d + 1) + i for a in range(c) for i in range(d)]
    order += [a * (d + 1) + d for a in range(c)]
    return blocks.reshape(c * (d + 1), -1)[order][:, order]


@pytest.fixture
def regression_hessian(regression: Problem) -> Tensor:
    return softmax_regression_hessian(regression)


class Dense:
    """A matrix as the measures see it."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.size = matrix, len(matrix)
        self.dtype, self.device = matrix.dtype, matrix.device
        self.products = 0

    def __call__(self, vector: Tensor) -> Tensor:
        self.products += 1
        return self.matrix @ vector


@pytest.fixture
def dense() -> type[Dense]:
    return Dense
