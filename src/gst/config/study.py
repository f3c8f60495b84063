"""A study: the benchmarks of one configuration file, and the jobs that follow from it."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from gst.config.benchmarks import (
    Benchmark,
    Name,
    PlannedRun,
    StabilityBenchmark,
)
from gst.datasets import BUILTIN, DatasetSource
from gst.layout import Cohort, RunPath, percent_text
from gst.recipe import Activations, Flatness, Frozen, Recipe

Text = Annotated[str, Field(min_length=1)]


class El2nJob(NamedTuple):
    """EL2N scores of the training examples, for each seed of a cohort."""

    benchmark: str
    percent: str
    cohort: Cohort
    recipe: Recipe
    """Training up to the epoch at which the examples are scored."""
    networks: int


class FlatnessJob(NamedTuple):
    """Flatness of the loss around the weights of a run."""

    path: RunPath
    settings: Flatness


class ActivationsJob(NamedTuple):
    """Distribution of the activations of a run."""

    path: RunPath
    settings: Activations


class _Settings(Frozen):
    name: Name
    """Name of the study, as the report shows it."""
    results: Text = "results"
    """Folder that all results go to."""
    data_root: Text = "data"
    """Folder that datasets are in, or are downloaded to."""
    keep_weights: Literal["all", "needed", "none"] = "all"
    """Weights that stay when nothing planned reads them any more. all: those of every run.
    needed: those of dense networks and of the stability study; a level, or its flatness, that is
    added later then trains all levels before it again. none: none."""
    from_records: bool = False
    """Make tables, figures, verdicts and report of what runs and measurements left in `results`,
    whatever changed since. Nothing is trained or measured, and no weights are needed. A dataset
    whose examples are shown is prepared again where it is missing."""
    archive_weights: bool = False
    """Whether the archive of the study holds the weights of its networks, too."""
    datasets: dict[Name, DatasetSource] = Field(default_factory=dict)
    """Sources of your own datasets, by name, beside the built-in ones."""


class StudyFile(_Settings):
    """What a study's configuration file holds."""

    benchmarks: Annotated[dict[Name, dict[str, Any] | None], Field(min_length=1)]
    """Benchmarks, each the name of a file in the folder `benchmarks`. Keys of the benchmark that
    are given here replace those of its file."""


class Study(_Settings):
    """Everything that one configuration file asks for, benchmarks included."""

    benchmarks: dict[Name, Benchmark]
    """The benchmarks, by name."""

    def runs(self) -> list[PlannedRun]:
        """Return every training run, each after the run that it starts from."""
        return [run for name, benchmark in self.benchmarks.items() for run in benchmark.runs(name)]

    @cached_property
    def recipes(self) -> dict[RunPath, Recipe]:
        """The recipe of every training run, by its place."""
        return dict(self.runs())

    def el2n(self) -> list[El2nJob]:
        """Return the EL2N scores that benchmarks ask for."""
        return [
            El2nJob(name, percent_text(percent), cohort, recipe, el2n.networks)
            for name, benchmark in self.benchmarks.items()
            for percent, el2n, recipe in benchmark.scoring()
            for cohort in benchmark.cohorts()
        ]

    def flatness(self) -> list[FlatnessJob]:
        """Return the flatness measurements that benchmarks ask for."""
        return [
            FlatnessJob(run.path, settings)
            for name, benchmark in self.benchmarks.items()
            for run in benchmark.runs(name)
            if (settings := benchmark.measured(run.path))
        ]

    def activations(self) -> list[ActivationsJob]:
        """Return the measurements of activations of the stability benchmarks."""
        return [
            ActivationsJob(run.path, benchmark.activations)
            for name, benchmark in self.benchmarks.items()
            if isinstance(benchmark, StabilityBenchmark) and benchmark.activations
            for run in benchmark.runs(name)
        ]

    def written_out(self) -> dict[str, Any]:
        """Return what a file of this study can hold: every value, none by default."""
        values = self.model_dump(mode="json", exclude={"from_records"})
        values["datasets"] = {
            name: source
            for name, source in values["datasets"].items()
            if self.datasets[name] != BUILTIN.get(name)
        }
        return values
