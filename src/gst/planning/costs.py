"""How long the jobs of a study take, and what they leave on the disk.

Times are counted, and corrected by what was measured. Counted: a job's operations over the rate
of its device, and a fixed time to start and for every step. Measured: the median factor by which
finished jobs took longer than that: those of the same rule and benchmark if there are any, else
those of the benchmark that compute networks as well (or do not as well), else those of the rule. So
one finished level tells how long the others will take, whatever their width, epochs or replicates.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from gst.artifacts import read_json
from gst.config.study import Study
from gst.datasets import Extent, extent, streamed
from gst.layout import Cohort, RunPath
from gst.planning import work
from gst.planning.jobs import Job
from gst.planning.networks import footprint
from gst.planning.work import Work


@dataclass(frozen=True)
class Device:
    """What a device is taken to do until finished jobs tell.

    Attributes:
        rate: Operations a second that networks reach on it.
        step: Seconds that a training step takes, however small the network.
    """

    rate: float
    step: float


CORE = Device(rate=75e9, step=1e-3)
"""A core of a CPU. In docs/performance/cpu.json networks train in float32 at 40e9 (LeNet-300-100)
to 105e9 (VGG16) operations a second and core, half of the six below 88e9; the rate
leaves room for busier machines."""
GPU = Device(rate=10e12, step=2e-3)
"""A GPU of a data centre, training small networks: a guess, until docs/performance.md has one."""

START = 4.0
"""Seconds until a job that computes networks has loaded Python, torch and the data."""
OTHER = 5.0
"""Seconds of a job that computes none, such as a table or a figure."""
SMALL = 50_000
"""Bytes of a file that is not worth counting, such as a record, a table or a figure."""

Source = Literal["recorded", "measured", "counted", "unknown"]


@dataclass(frozen=True)
class Cost:
    """What a job takes.

    Attributes:
        seconds: How long it runs, or ran; 0 if unknown.
        kept: Bytes that it leaves.
        temporary: Bytes that are removed again.
        source: Where `seconds` is from. recorded: it ran. measured: counted, and corrected by
            similar jobs that ran. unknown: it ran and nothing was recorded, or its dataset must
            be prepared first.
    """

    seconds: float
    kept: int
    temporary: int
    source: Source


@dataclass(frozen=True)
class _Contents:
    """What a job computes, None if no networks, and the bytes that it writes, by output."""

    work: Work | None
    sizes: Mapping[str, int]


_SMALL = _Contents(None, {})


def costs(study: Study, jobs: Sequence[Job]) -> list[Cost]:
    """Return what each job takes: as it was if it is finished, else predicted."""
    known = _Known(study)
    contents = [known.contents(job) for job in jobs]
    counted = [_counted(job, found) for job, found in zip(jobs, contents, strict=True)]
    ratios: dict[Hashable, list[float]] = {}
    for job, found, seconds in zip(jobs, contents, counted, strict=True):
        if job.seconds is not None and seconds:
            for kin in _kin(job, found):
                ratios.setdefault(kin, []).append(job.seconds / seconds)
    factors = {kin: median(found) for kin, found in ratios.items()}
    return [
        _predicted(job, found, seconds, factors) if job.waiting else _recorded(job)
        for job, found, seconds in zip(jobs, contents, counted, strict=True)
    ]


def _kin(job: Job, contents: _Contents | None) -> list[Hashable]:
    """Return the groups of similar jobs that a job is in, the most similar first."""
    benchmark = job.wildcards.get("benchmark")
    networks = contents is None or contents.work is not None
    return [(job.rule, benchmark), (networks, benchmark), job.rule]


def _counted(job: Job, contents: _Contents | None) -> float | None:
    """Return how long a job takes by its operations; None if these are unknown."""
    if not job.outputs:
        return 0
    if contents is None:
        return None
    if contents.work is None:
        return OTHER
    device = GPU if job.gpus else CORE
    operations, steps = contents.work
    return START + steps * device.step + operations / (device.rate * job.devices)


def _predicted(
    job: Job, contents: _Contents | None, counted: float | None, factors: Mapping[Hashable, float]
) -> Cost:
    sizes = contents.sizes if contents else {}
    kept, temporary = _sums(job, [sizes.get(output.name, SMALL) for output in job.outputs])
    if counted is None:
        return Cost(0, kept, temporary, "unknown")
    factor = next((factors[kin] for kin in _kin(job, contents) if kin in factors), None)
    if factor is None:
        return Cost(counted, kept, temporary, "counted")
    return Cost(counted * factor, kept, temporary, "measured")


def _recorded(job: Job) -> Cost:
    kept, temporary = _sums(job, [_on_disk(output.path) for output in job.outputs])
    return Cost(job.seconds or 0, kept, temporary, "recorded" if job.seconds else "unknown")


def _sums(job: Job, sizes: Sequence[int]) -> tuple[int, int]:
    """Return the bytes of outputs that stay, and of temporary ones."""
    pairs = list(zip(job.outputs, sizes, strict=True))
    kept, temporary = (
        sum(size for output, size in pairs if output.temporary == removed)
        for removed in (False, True)
    )
    return kept, temporary


def _on_disk(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


class _Known:
    """What the study says of its jobs.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._scoring = {(job.benchmark, job.percent, job.cohort): job for job in study.el2n()}
        self._flatness = {job.path: job.settings for job in study.flatness()}
        self._extents = extents(study)

    def contents(self, job: Job) -> _Contents | None:
        """Return what a job computes and writes; None if only preparing its data can tell."""
        given = job.wildcards
        cohort = Cohort.parse(given["cohort"]) if "cohort" in given else None
        if "dataset" in given:
            return self._data(given["dataset"], cohort)
        if cohort is None:
            return _SMALL
        if job.rule == "el2n":
            return self._el2n(given["benchmark"], given["percent"], cohort)
        place = "{study}/{benchmark}/noise-{percent}/{method}/level-{level}/{cohort}"
        return self._run(job.rule, RunPath.parse(place.format(**given)))

    def _data(self, dataset: str, cohort: Cohort | None) -> _Contents:
        data = self._extents[dataset]
        if data is None:
            return _SMALL
        if cohort:
            return _Contents(None, work.labels_bytes(data, len(cohort.seeds)))
        listed = streamed(self._study.datasets[dataset])
        return _SMALL if listed else _Contents(None, work.data_bytes(data))

    def _el2n(self, benchmark: str, percent: str, cohort: Cohort) -> _Contents | None:
        job = self._scoring[benchmark, percent, cohort]
        data = self._extents[job.recipe.dataset]
        if data is None:
            return None
        network = footprint(job.recipe.network, data.classes, data.shape)
        replicates = len(cohort.seeds)
        return _Contents(
            work.training(job.recipe, data, network, job.networks * replicates),
            work.el2n_bytes(data, job.networks, replicates),
        )

    def _run(self, rule: str, path: RunPath) -> _Contents | None:
        recipe = self._study.recipes[path]
        data = self._extents[recipe.dataset]
        if data is None:
            return None
        network = footprint(recipe.network, data.classes, data.shape)
        replicates = len(path.cohort.seeds)
        if rule == "flatness":
            settings = self._flatness[path]
            return _Contents(
                work.flatness(settings, data, network, replicates),
                work.flatness_bytes(settings, replicates),
            )
        if rule == "activations":
            return _Contents(work.activations(data, network, replicates), {})
        return _Contents(
            work.training(recipe, data, network, replicates),
            work.training_bytes(recipe, data, network, replicates),
        )


def extents(study: Study) -> dict[str, Extent | None]:
    """Return how large each dataset of a study is, None if only its preparation can tell."""
    return {
        name: _prepared(Path(study.results, "data", name, "dataset.json")) or extent(source)
        for name, source in study.datasets.items()
    }


def _prepared(file: Path) -> Extent | None:
    if not file.exists():
        return None
    info = read_json(file)
    return Extent(info["train"], info["test"], tuple(info["shape"]), len(info["classes"]))
