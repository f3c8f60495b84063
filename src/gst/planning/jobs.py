"""The jobs of a study as planning sees them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Output:
    """A file or folder that a job writes.

    Attributes:
        name: What the rule calls it, such as "weights".
        path: Where it goes.
        temporary: Whether it is removed once no job needs it any more.
    """

    name: str
    path: Path
    temporary: bool = False


@dataclass(frozen=True)
class Job:
    """One job of the workflow.

    Attributes:
        rule: Name of its rule, the stage that it belongs to.
        wildcards: What distinguishes it from other jobs of the rule.
        outputs: What it writes.
        waiting: Whether it has to run.
        after: Positions, in the list of all jobs, of those whose files it reads.
        gpus: GPUs that it is given.
        threads: Threads that it is given.
        seconds: How long it took, if it is finished and that was recorded.
    """

    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[Output, ...] = ()
    waiting: bool = True
    after: tuple[int, ...] = ()
    gpus: int = 0
    threads: int = 1
    seconds: float | None = None

    @property
    def devices(self) -> int:
        """GPUs that it holds, or cores if it computes on none."""
        return self.gpus or self.threads


def longest_chain(
    jobs: Sequence[Job], seconds: Sequence[float], rules: Collection[str]
) -> tuple[int, float]:
    """Return the chain of waiting jobs that takes longest, however many run at a time.

    Args:
        jobs: All jobs, each after those that it reads from.
        seconds: How long each takes.
        rules: Those whose jobs count; others are passed through as if they took no time.

    Returns:
        How many jobs of the chain count, and the seconds that these take together.
    """
    ends: list[tuple[float, int]] = []
    for job, own in zip(jobs, seconds, strict=True):
        start, before = max((ends[position] for position in job.after), default=(0.0, 0))
        here = job.waiting and job.rule in rules
        ends.append((start + own, before + 1) if here else (start, before))
    longest, number = max(ends, default=(0.0, 0))
    return number, longest
