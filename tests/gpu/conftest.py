"""Tests that need a GPU: `make test-gpu`. Elsewhere they are skipped."""

from __future__ import annotations

import os

import pytest
import torch

from gst.training.hardware import device

REQUIRED = "GST_GPU_TESTS"
"""Environment variable; where it is "required", a test that cannot run fails."""


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    """The GPU, set up as a job has it."""
    if torch.cuda.is_available():
        return device(1)
    if os.environ.get(REQUIRED) == "required":
        pytest.fail("torch finds no GPU")
    pytest.skip("torch finds no GPU; on a machine with one, run `make test-gpu`")
