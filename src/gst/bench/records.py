"""What the benchmark measures, as its JSON files hold it: the machine, and a flat list of records.

Every record has a `kind`, and units in the names of its numbers. Shares, gains and ratios hold
numbers of one run of the benchmark against each other, since machines are noisy.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from gst.artifacts import ArtifactError, write_json
from gst.recipe import Frozen

Precision = Literal["float32", "bf16"]
Mode = Literal["eager", "captured"]
Way = Literal["eager", "captured", "alone", "bf16"]


class Machine(Frozen):
    """What was measured on, and how."""

    device: str
    """Name of the GPU, or of the processor if that is what computes."""
    kind: Literal["cpu", "cuda"]
    """Which of the two."""
    cpu: str
    """Name of the processor."""
    cores: int
    """Its cores."""
    memory_gb: float | None
    """Memory of the machine."""
    threads: int
    """Threads that torch computes with."""
    torch: str
    """Version of torch."""
    commit: str | None
    """Commit of the code, with -dirty if files differed from it."""
    date: str
    """Day of the measurement."""
    command: str
    """The command line."""
    batch_size: int
    """Images a step and replicate."""


class Product(Frozen):
    """The ceiling of matrix products of square matrices; of float32 it is TF32's on a GPU."""

    kind: Literal["product"] = "product"
    precision: Precision
    size: int
    """Rows of the matrices with which it was fastest."""
    operations_per_second: float


class Copy(Frozen):
    """The ceiling of memory: copying one large tensor."""

    kind: Literal["copy"] = "copy"
    bytes_per_second: float
    """Bytes read and bytes written, together."""


class Network(Frozen):
    """What a step of one replicate computes and moves, counted by `gst.bench.counts`."""

    kind: Literal["network"] = "network"
    network: str
    precision: Precision
    shape: tuple[int, int, int]
    """Channels, height and width of an image."""
    parameters: int
    forward_operations_per_image: int
    training_operations_per_image: int
    bytes_per_step: int


class Training(Frozen):
    """How fast a cohort trains."""

    kind: Literal["training"] = "training"
    network: str
    precision: Precision
    mode: Mode
    """eager: kernel after kernel, from Python. captured: steps replayed as a CUDA graph."""
    replicates: int
    steps_per_second: float
    """One step is a batch of every replicate."""
    images_per_second: float
    """Images of all replicates."""
    gain: float | None
    """Images a second, over those of one replicate; null if one was not measured."""
    share_of_product: float
    """Operations a second, over those of the matrix product."""
    share_of_roofline: float
    """Time that the operations would take at the product's ceiling, or the bytes at that of
    memory, whichever is longer, over the time of a step."""
    peak_memory_mb: float
    """Of the GPU's memory, or of the whole process on a CPU."""


class Failure(Frozen):
    """A cohort that could not be measured; larger ones were not tried."""

    kind: Literal["failure"] = "failure"
    network: str
    precision: Precision
    mode: Mode
    replicates: int
    reason: str
    """Why: "out of memory", or how long a step takes."""


class Evaluation(Frozen):
    """How fast one replicate is evaluated."""

    kind: Literal["evaluation"] = "evaluation"
    network: str
    precision: Precision
    images_per_second: float


class Augmentation(Frozen):
    """What gathering a batch of one replicate takes, eager, and flipping and cropping it."""

    kind: Literal["augmentation"] = "augmentation"
    network: str
    gather_seconds_per_batch: float
    """Gathered and normalised, not augmented."""
    augmentation_seconds_per_batch: float
    """What flip-crop adds."""
    share_of_step: float | None
    """That, over the time of a step of one replicate in float32, in its fastest mode; null if none
    was measured."""


class Plain(Frozen):
    """How fast a plain PyTorch loop trains one replicate in float32 (`gst.bench.plain`)."""

    kind: Literal["plain"] = "plain"
    network: str
    workers: int
    """Processes of the DataLoader with which it was fastest."""
    steps_per_second: float
    images_per_second: float
    ratio: float | None
    """Images a second of one replicate of the engine in float32, in its fastest mode, over these;
    null if none was measured."""


class Processes(Frozen):
    """A cohort in one process beside its replicates in processes of their own."""

    kind: Literal["processes"] = "processes"
    network: str
    replicates: int
    steps: int
    """Training steps of each replicate."""
    processes: int
    """How many run at a time."""
    cohort_seconds: float
    """From the start of the process to its end."""
    separate_seconds: float
    """From the start of the first process to the end of the last."""


class Start(Frozen):
    """How long a process takes from its start to its end if it makes one training step."""

    kind: Literal["start"] = "start"
    network: str
    seconds: float


class Agreement(Frozen):
    """How runs that were carried out in one way differ from eager ones of the same seeds."""

    kind: Literal["agreement"] = "agreement"
    network: str
    way: Way
    """eager: a cohort in float32, step by step; the others differ from it in what they say."""
    seeds: int
    epochs: int
    difference: float
    """Largest relative difference of a replicate's mean loss in one of the first steps."""
    accuracy: float
    """Final test accuracy, mean over seeds."""
    change: float
    """Mean difference of the final test accuracy from the eager run's, over paired seeds."""
    low: float
    """Its 95% interval, Student's: from here,"""
    high: float
    """to here."""


Record = Annotated[
    Product
    | Copy
    | Network
    | Training
    | Failure
    | Evaluation
    | Augmentation
    | Plain
    | Processes
    | Start
    | Agreement,
    Field(discriminator="kind"),
]
Kind = TypeVar("Kind", bound=Frozen)


class Measurements(Frozen):
    """One run of the benchmark."""

    machine: Machine
    records: tuple[Record, ...]


def select(records: Iterable[Record], kind: type[Kind], **values: object) -> list[Kind]:
    """Return the records of a kind whose fields have the given values."""
    return [
        record
        for record in records
        if isinstance(record, kind)
        and all(getattr(record, name) == value for name, value in values.items())
    ]


def write(path: Path, measurements: Measurements) -> None:
    """Write measurements to a JSON file."""
    write_json(path, measurements.model_dump(mode="json"))


def read(path: Path) -> Measurements:
    """Read measurements from a JSON file.

    Raises:
        ArtifactError: If the file is missing, or is not one that `write` wrote.
    """
    try:
        return Measurements.parse(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error
    except ValidationError as error:
        raise ArtifactError(f"{path}: not a file of `python -m gst bench` ({error})") from error
