"""Flatness of a network of published size on a GPU."""

from __future__ import annotations

import time

import pytest
import torch

from gst import models
from gst.measures.flatness.gradient_noise import gradient_noise
from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.loss import Loss
from gst.measures.flatness.spectrum import spectrum
from gst.recipe import Network

EXAMPLES = 512


def loss(device: torch.device | str) -> Loss:
    """Return the loss of an untrained VGG11 on random images."""
    draw = torch.Generator().manual_seed(0)
    module = models.build(Network(name="vgg11"), 10, (3, 32, 32), draw).to(device)
    images = torch.randn(EXAMPLES, 3, 32, 32, generator=draw).to(device)
    return Loss(module, images, torch.randint(10, (EXAMPLES,), generator=draw).to(device))


def test_leading_spectrum_of_vgg11(gpu: torch.device) -> None:
    """It converges; the project wants it within a minute on a GPU of 2022 or later."""
    hessian = Hessian(loss(gpu))
    torch.cuda.synchronize()
    started = time.perf_counter()
    found = spectrum(hessian, torch.Generator().manual_seed(1), k=100, tolerance=1e-4)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    print(f"{found.products} products in {seconds:.1f} s on {torch.cuda.get_device_name()}")
    assert found.converged
    largest = float(found.eigenvalues[0].abs())
    for value, vector in zip(found.eigenvalues.tolist()[:3], found.vectors[:3], strict=True):
        assert float((hessian(vector) - value * vector).norm()) < 1e-3 * largest


def test_gradient_noise_is_that_of_the_cpu(gpu: torch.device) -> None:
    assert gradient_noise(loss(gpu)) == pytest.approx(gradient_noise(loss("cpu")), rel=1e-2)
