"""The processes that train one run together, each with its own share of every batch.

Between two steps all of them hold the same state: gradients, batch-norm statistics and the
measured losses are summed over processes, in an order that their number alone decides.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

PORTS = 20000, 20000
"""First port, and number of ports, of which a SLURM job takes the one of its number."""


@dataclass(frozen=True)
class Processes:
    """A process's place among those that train a run; alone unless said otherwise."""

    rank: int = 0
    size: int = 1

    def share(self, n: int) -> slice:
        """Return this process's part of n things; the parts differ by one at most."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type by their sums over all processes."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(
            tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True
        ):
            tensor.copy_(total.view_as(tensor))

    def whole(self, part: Tensor, n: int) -> Tensor:
        """Return [R, n], of which every process holds its share [R, n / size]."""
        if self.size == 1:
            return part
        found = torch.zeros(len(part), n, dtype=torch.float32, device=part.device)
        found[:, self.share(n)] = part.float()
        dist.all_reduce(found)
        return found.to(part.dtype)

    def largest(self, *numbers: int) -> list[int]:
        """Return the largest of each number over all processes, without use of the GPU."""
        if self.size == 1:
            return list(numbers)
        found = torch.tensor(numbers)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return found.tolist()

    def total(self, number: float) -> float:
        """Return the sum of a number over all processes, without use of the GPU."""
        if self.size == 1:
            return number
        found = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(found)
        return found.item()


ALONE = Processes()


def place(environment: Mapping[str, str]) -> Processes | None:
    """Return the place that torchrun's or srun's variables state; None if neither launched us."""
    for rank, size in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
        if rank in environment and int(environment.get(size, 1)) > 1:
            return Processes(int(environment[rank]), int(environment[size]))
    return None


def join() -> Processes:
    """Join the other processes of a run; alone if no launcher started several.

    torchrun states the address of the first process. srun does not: it is the first host of the
    step, with a port that follows from the number of the job.
    """
    found = place(os.environ)
    if found is None:
        return ALONE
    if "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"] = _first_host(os.environ["SLURM_STEP_NODELIST"])
        first, number = PORTS
        os.environ["MASTER_PORT"] = str(first + int(os.environ["SLURM_JOB_ID"]) % number)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, rank=found.rank, world_size=found.size)
    return found


def leave() -> None:
    """Part from the other processes, once all have come this far."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def _first_host(nodes: str) -> str:
    command = ["scontrol", "show", "hostnames", nodes]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


def assemble(processes: int, launcher: str | None) -> Processes:
    """Join the processes of a run; if there are to be several and nobody started them, start them.

    Args:
        processes: How many.
        launcher: See `launch`.
    """
    if processes > 1 and place(os.environ) is None:
        launch(launcher, processes)
    return join()


def launch(launcher: str | None, tasks: int) -> None:
    """Become the launcher that starts this script once more, in several processes.

    The processes find GST_LAUNCHED in their environment. Signals reach the launcher, which passes
    them on, and its exit status is the job's.

    Args:
        launcher: A command such as "srun", for processes on several machines; None for
            processes on this one, which torchrun starts.
        tasks: How many processes.
    """
    own = [sys.executable, *sys.argv]
    if launcher:
        command = [*launcher.split(), f"--ntasks={tasks}", "--kill-on-bad-exit=1", *own]
    else:
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*run, f"--nproc-per-node={tasks}", *sys.argv]
    os.environ["GST_LAUNCHED"] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(command[0], command)
