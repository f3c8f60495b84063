"""The device that a job was given."""

from __future__ import annotations

import os

import torch

FALLBACK = "GST_CPU_INSTEAD_OF_GPU"


def device(gpus: int) -> torch.device:
    """Return the device of a job, and let its float32 products use TF32 if it is a GPU.

    Args:
        gpus: How many GPUs the job was given.

    Raises:
        RuntimeError: If it was given one and there is none, unless the environment variable
            GST_CPU_INSTEAD_OF_GPU is 1.
    """
    if not gpus:
        return torch.device("cpu")
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        return torch.device("cuda")
    if os.environ.get(FALLBACK) == "1":
        return torch.device("cpu")
    raise RuntimeError(
        "this job was given a GPU but torch finds none: check the driver and the partition, "
        f"ask for no GPU in the profile, or set {FALLBACK}=1 to run on the CPU"
    )
