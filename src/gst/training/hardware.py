"""The device that a job was given."""

from __future__ import annotations

import os

import torch

from gst.training.lease import take

FALLBACK = "GST_CPU_INSTEAD_OF_GPU"


def device(gpus: int) -> torch.device:
    """Return the device of a job; on a GPU, float32 products may use TF32.

    There, convolutions use the fastest of cuDNN's algorithms, tried out once for every shape.

    The GPU is this process's alone among all that come here, until the process ends; each of
    several processes that train together takes one.

    Args:
        gpus: How many GPUs the job was given.

    Raises:
        RuntimeError: If it was given one and there is none, unless the environment variable
            GST_CPU_INSTEAD_OF_GPU is 1; or if other jobs have them all.
    """
    if not gpus:
        return torch.device("cpu")
    if torch.cuda.is_available():
        torch.cuda.set_device(take(visible_gpus()))
        use_fast_kernels()
        return torch.device("cuda")
    if os.environ.get(FALLBACK) == "1":
        return torch.device("cpu")
    raise RuntimeError(
        "this job was given a GPU but torch finds none: check the driver and the partition, "
        f"ask for no GPU in the profile, or set {FALLBACK}=1 to run on the CPU"
    )


def use_fast_kernels() -> None:
    """Let this process use TF32 and the fastest of cuDNN's algorithms on GPUs."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def visible_gpus() -> list[str]:
    """Return the driver's names of the GPUs that this process sees, by torch's numbers.

    A number says nothing outside of the process: jobs that SLURM gave different GPUs of a node
    may all see theirs as number 0. A process sees no more than one slice (MIG) of a GPU, the first
    that CUDA_VISIBLE_DEVICES names.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
    if given.startswith("MIG-"):
        return [given]
    return [
        f"GPU-{torch.cuda.get_device_properties(number).uuid}"
        for number in range(torch.cuda.device_count())
    ]
