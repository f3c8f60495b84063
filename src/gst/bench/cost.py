"""What a study costs on a measured device, by the engine and by a plain loop.

Counted are the images that the study's networks are trained and evaluated on, and the passes of
its flatness measurements; divided by what was measured for the same network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from gst import recipe
from gst.bench.records import Evaluation, Network, Plain, Precision, Record, Training, select
from gst.config import Study
from gst.datasets import Extent
from gst.planning import work
from gst.planning.costs import extents
from gst.planning.networks import Footprint, footprint
from gst.recipe import Recipe

FARTHEST = 4
"""Factor between the operations of two networks up to which one stands for the other."""

ASSUMPTIONS = """\
- A cohort trains at the images a second that were measured for its network, in the faster mode,
  interpolated between numbers of replicates; more replicates than were measured are taken to bring
  nothing.
- Evaluation runs at the rate measured for one replicate; flatness at as many operations a second
  as the float32 training of one. The plain loop is taken to do both as fast, so that only
  training differs.
- A network that was not measured stands in italics: the measured one nearest in operations stands
  for it, if it has between a quarter and four times as many. An image of a larger network takes
  longer in proportion to its operations; one of a smaller network, such as the narrower ones, is
  taken to take as long, since small networks do not fill a device.
- All jobs run one after the other on this one device. Loading data, tables and figures are left
  out."""
"""What `cost` assumes, as a list in Markdown."""


@dataclass(frozen=True)
class Cost:
    """What a benchmark takes.

    Attributes:
        benchmark: Its name.
        study: The study that it belongs to.
        network: Its network.
        measured: The measured network whose rates count; None if none is near.
        trainings: Networks that are trained, those of EL2N included.
        images: Images that these are trained on.
        operations: Additions and multiplications, evaluation and measurements included.
        hours: Hours of the device, by precision of the engine; none if no network is near.
        plain_hours: Hours with a plain loop in float32; None if that was not measured.
    """

    benchmark: str
    study: str
    network: str
    measured: str | None
    trainings: int
    images: int
    operations: float
    hours: Mapping[Precision, float]
    plain_hours: float | None


@dataclass(frozen=True)
class _Job:
    """A part of a benchmark that one cohort does.

    Attributes:
        network: What it computes with.
        replicates: How many of it.
        images: Images that each replicate is trained and evaluated on.
        measuring: Operations of its flatness measurements.
    """

    network: Footprint
    replicates: int
    images: work.Images
    measuring: float = 0

    @property
    def operations(self) -> float:
        """All its operations."""
        passes = self.images.trained * (1 + work.BACKWARD) + self.images.evaluated
        return self.replicates * self.network.operations * passes + self.measuring


class _Rates:
    """What was measured for one network on a device."""

    def __init__(self, network: Network, records: Sequence[Record]) -> None:
        name = network.network
        self.operations = network.forward_operations_per_image
        self._training: dict[Precision, dict[int, float]] = {}
        for cell in select(records, Training, network=name):
            rates = self._training.setdefault(cell.precision, {})
            rates[cell.replicates] = max(cell.images_per_second, rates.get(cell.replicates, 0))
        self._evaluation = {
            found.precision: found.images_per_second
            for found in select(records, Evaluation, network=name)
        }
        self.plain = {found.network: found for found in select(records, Plain)}.get(name)
        self.precisions = [p for p in self._training if p in self._evaluation]

    def engine(self, job: _Job, precision: Precision) -> float:
        """Return the seconds of a job."""
        rates = self._training[precision]
        sizes = sorted(rates)
        rate = float(np.interp(job.replicates, sizes, [rates[size] for size in sizes]))
        training = job.replicates * job.images.trained * self._scale(job) / rate
        return training + self._beside(job, precision)

    def looped(self, job: _Job, plain: Plain) -> float:
        """Return the seconds of a job if a plain loop trains its replicates one by one."""
        rate = plain.images_per_second
        training = job.replicates * job.images.trained * self._scale(job) / rate
        return training + self._beside(job, "float32")

    def _beside(self, job: _Job, precision: Precision) -> float:
        """Return the seconds of evaluation and measurements."""
        evaluated = job.replicates * job.images.evaluated * self._scale(job)
        seconds = evaluated / self._evaluation[precision]
        if job.measuring:
            rates = self._training["float32"]
            operations = rates[min(rates)] * (1 + work.BACKWARD) * self.operations
            seconds += job.measuring / operations
        return seconds

    def _scale(self, job: _Job) -> float:
        return max(1.0, job.network.operations / self.operations)


def cost(study: Study, records: Sequence[Record]) -> list[Cost]:
    """Return what each benchmark of a study takes on the device that the records are of.

    Benchmarks on datasets of unknown size are left out.

    Args:
        study: The study.
        records: What `gst.bench.speed` measured on one device.
    """
    measured = {found.network: found for found in select(records, Network)}
    rates = {name: _Rates(found, records) for name, found in measured.items()}
    rates = {name: found for name, found in rates.items() if "float32" in found.precisions}
    sizes = extents(study)
    return [
        _cost(study, name, data, rates)
        for name, benchmark in study.benchmarks.items()
        if (data := sizes[benchmark.dataset])
    ]


def _cost(study: Study, name: str, data: Extent, rates: Mapping[str, _Rates]) -> Cost:
    benchmark = study.benchmarks[name]
    network = benchmark.network.name
    whole = footprint(recipe.Network(name=network), data.classes, data.shape)
    nearest = _nearest(network, whole.operations, rates)
    own = rates[nearest] if nearest else None
    jobs = list(_jobs(study, name, data))
    hours: dict[Precision, float] = {}
    plain_hours = None
    if own:
        for precision in own.precisions:
            hours[precision] = sum(own.engine(job, precision) for job in jobs) / 3600
        if own.plain:
            plain_hours = sum(own.looped(job, own.plain) for job in jobs) / 3600
    return Cost(
        benchmark=name,
        study=benchmark.study,
        network=network,
        measured=nearest,
        trainings=sum(job.replicates for job in jobs if job.images.trained),
        images=sum(job.replicates * job.images.trained for job in jobs),
        operations=sum(job.operations for job in jobs),
        hours=hours,
        plain_hours=plain_hours,
    )


def _nearest(network: str, operations: int, rates: Mapping[str, _Rates]) -> str | None:
    """Return the measured network that stands for another one, None if none is near."""
    if network in rates:
        return network
    distances = {name: abs(log(operations / own.operations)) for name, own in rates.items()}
    nearest = min(distances, key=distances.__getitem__, default=None)
    return nearest if nearest and distances[nearest] <= log(FARTHEST) else None


def _jobs(study: Study, benchmark: str, data: Extent) -> Iterator[_Job]:
    """Yield all that computes networks in a benchmark."""

    def size(found: Recipe) -> Footprint:
        return footprint(found.network, data.classes, data.shape)

    for path, found in study.recipes.items():
        if path.benchmark == benchmark:
            yield _Job(size(found), len(path.cohort.seeds), work.images(found, data))
    for scoring in study.el2n():
        if scoring.benchmark == benchmark:
            replicates = scoring.networks * len(scoring.cohort.seeds)
            yield _Job(size(scoring.recipe), replicates, work.images(scoring.recipe, data))
    for path, settings in study.flatness():
        if path.benchmark == benchmark:
            network, replicates = size(study.recipes[path]), len(path.cohort.seeds)
            measuring = work.flatness(settings, data, network, replicates).operations
            yield _Job(network, replicates, work.Images(0, 0), measuring)
    for path, _ in study.activations():
        if path.benchmark == benchmark:
            network, replicates = size(study.recipes[path]), len(path.cohort.seeds)
            yield _Job(network, replicates, work.Images(0, 2 * data.test))
