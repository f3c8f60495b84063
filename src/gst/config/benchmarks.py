"""Benchmarks: what one of the two studies does on one dataset with one network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, NonNegativeInt, PositiveInt

from gst.layout import EARLY, Cohort, RunPath, percent_text
from gst.recipe import (
    Activations,
    DenseSparseDense,
    FilterNoise,
    FilterPruning,
    Flatness,
    FlatnessSettings,
    Frozen,
    GradualPruning,
    LabelNoise,
    LeaveOut,
    Network,
    NoiseKind,
    ReadableFraction,
    Recipe,
    ScratchPruning,
    Target,
    Training,
    WeightPruning,
    exact,
)

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        title="a name of lower-case letters, digits, '-' and '.'",
    ),
]
"""A name that becomes a part of paths."""
FigureName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", title="a name of letters, digits and '_'"),
]
"""A name that becomes a target of the workflow."""
Percent = Annotated[float, Field(ge=0, lt=100)]
Method = Literal["pruned", "extended", "width"]
Variant = Annotated[
    FilterPruning | FilterNoise | ScratchPruning | GradualPruning | DenseSparseDense,
    Field(discriminator="kind"),
]

SCORES = {
    "weights": "gst.pruning.weight_scores",
    "gradual": "gst.pruning.weight_scores",
    "dense-sparse-dense": "gst.pruning.weight_scores",
    "filters": "gst.pruning.filter_scores",
    "noise": "gst.pruning.filter_scores",
    "scratch": "gst.pruning.filter_scores",
}
"""The registry that each kind of intervention has its score from."""


class PlannedRun(NamedTuple):
    """A training run: where its results go and how it is trained."""

    path: RunPath
    recipe: Recipe


class El2n(Frozen):
    """Scores of the training examples by EL2N (regularization study, section 3)."""

    epoch: PositiveInt
    """Number of epochs after which the examples are scored. The schedule is that of the full
    training, cut off here."""
    networks: PositiveInt = 10
    """Independent networks over which a score is averaged, a draw of the labels."""


class LevelFlatness(FlatnessSettings):
    """How the flatness of the loss around the final weights is measured along the levels."""

    every: PositiveInt = 1
    """Levels from one that is measured to the next: of each method every such level and the last,
    beside the dense network. Ablations are left out."""

    def after(self, epoch: int) -> Flatness:
        """Return the measurement itself, after a number of finished epochs."""
        return Flatness(epoch=epoch, **self.model_dump(exclude={"every"}))


class CommonSettings(Frozen):
    """What a benchmark of either study has."""

    dataset: str
    """A built-in dataset, or one that the study describes under `datasets`."""
    network: Network
    """The network that is trained."""
    training: Training
    """How it is trained."""
    replicates: PositiveInt
    """Seeds 0, 1, ... with which everything is repeated."""
    cohort: PositiveInt
    """Seeds that train together in one job; `replicates` is a multiple of it. More replicates
    leave finished cohorts as they are, another cohort size retrains everything."""
    subgroups: Annotated[int, Field(ge=2)] = 20
    """Number of groups of equal size, by EL2N, for which training losses are compared."""
    scale: Literal["published", "reduced"] = "reduced"
    """Whether the settings are those of the paper. A reduced benchmark never yields the verdict
    "reproduced" for a published number."""
    stands_for: tuple[Name, ...] = ()
    """Published benchmarks that a reduced one is a small model of."""
    figures: dict[FigureName, str] | None = None
    """Figures that show the benchmark: the name of each, and its registered kind. Benchmarks that
    name the same figure are drawn in it together. If null: every kind that fits, under its own
    name."""
    inferred: tuple[str, ...] = ()
    """Keys, dotted, whose values the paper does not state."""

    def cohorts(self) -> tuple[Cohort, ...]:
        """Return the blocks of seeds that train together."""
        return tuple(
            Cohort(first, first + self.cohort - 1)
            for first in range(0, self.replicates, self.cohort)
        )


class RegularizationBenchmark(CommonSettings):
    """Pruning, extended training and narrower networks under label noise."""

    study: Literal["regularization"]
    """The study that the benchmark belongs to; decides which keys it has."""
    noise: Annotated[tuple[Percent, ...], Field(min_length=1)]
    """Shares of wrong training labels, in percent; everything is repeated for each."""
    noise_kind: NoiseKind = "uniform"
    """Which wrong labels they get. uniform: one of the others, each as likely. pair-flip: the next
    one. asymmetric: the one that `noise_map` says."""
    noise_map: dict[str, str] = Field(default={})
    """For asymmetric noise, the class whose label the examples of a class get; other classes keep
    theirs, and `noise` is the share of the examples of the mapped classes. The usual one for
    CIFAR-10 is {truck: automobile, bird: airplane, deer: horse, cat: dog, dog: cat}. All
    benchmarks on a dataset have the same."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ("pruned", "extended", "width")
    """What the dense network is compared with. pruned: iterative pruning with learning-rate
    rewinding. extended: the same training with nothing removed. width: narrower networks."""
    levels: PositiveInt
    """How often the pruned network is pruned and the extended one trained on."""
    pruning: WeightPruning
    """What each level removes."""
    ablations: dict[Name, WeightPruning] | None = None
    """Other ways to prune, by name: each is a method of its own, with as many levels, beside
    `methods`."""
    leave_out: dict[Name, LeaveOut] | None = None
    """Dense networks trained without some examples, by name: each is a method of its own at level
    0. Every seed trains by itself, since seeds may leave out different numbers of examples."""
    rewind_epoch: NonNegativeInt = 0
    """Epoch to which a further level rewinds the learning-rate schedule, or the weights as well."""
    width_factor: ReadableFraction = 0.8
    """Width of each narrower network as a share of the one before."""
    width_levels: PositiveInt | None = None
    """How many narrower networks are trained; as many as `levels` if null."""
    el2n: El2n
    """How the influence of training examples is scored."""
    flatness: LevelFlatness | None = None
    """How flatness is measured along the levels; null leaves it out."""

    def runs(self, name: str) -> Iterator[PlannedRun]:
        """Yield the benchmark's training runs, each after the run that it starts from."""
        for percent in self.noise:
            steps = self._steps(percent)
            leaving_out = self._leaving_out(percent)
            place = self.study, name, percent_text(percent)
            for cohort in self.cohorts():
                for method, level, recipe in steps:
                    yield PlannedRun(RunPath(*place, method, level, cohort), recipe)
                for method, recipe in leaving_out.items():
                    for seed in cohort.seeds:
                        yield PlannedRun(RunPath(*place, method, 0, Cohort(seed, seed)), recipe)

    def has(self, need: str) -> bool:
        """Return whether the benchmark has what a kind of figure needs."""
        optional = {
            "ablations": self.ablations,
            "leave_out": self.leave_out,
            "flatness": self.flatness,
        }
        return need in (*self.methods, "el2n") or bool(optional.get(need))

    @property
    def chains(self) -> dict[str, WeightPruning]:
        """The methods that prune, by name."""
        pruned = {"pruned": self.pruning} if "pruned" in self.methods else {}
        return {**pruned, **(self.ablations or {})}

    def labels(self, percent: float) -> LabelNoise:
        """Return the label noise of a level; none is the same of every kind."""
        if not percent:
            return LabelNoise()
        return LabelNoise(percent=percent, kind=self.noise_kind, map=self.noise_map)

    def dense(self, percent: float) -> Recipe:
        """Return the recipe of the dense network at a level of label noise."""
        return Recipe(
            dataset=self.dataset,
            labels=self.labels(percent),
            network=self.network,
            training=self.training,
        )

    def scoring(self) -> Iterator[tuple[float, El2n, Recipe]]:
        """Yield, for each level of label noise, how examples are scored and with what networks."""
        for percent in self.noise:
            yield percent, self.el2n, self.dense(percent).cut_off(self.el2n.epoch)

    def last_level(self, method: str) -> int:
        """Return the last level of a method beside dense training, which has level 0 alone."""
        return (method == "width" and self.width_levels) or self.levels

    def measured(self, path: RunPath) -> Flatness | None:
        """Return how the flatness of one of the benchmark's runs is measured, None if it is not."""
        if self.flatness is None or path.method not in ("dense", *self.methods):
            return None
        if path.level % self.flatness.every and path.level != self.last_level(path.method):
            return None
        return self.flatness.after(self.training.epochs)

    def _steps(self, percent: float) -> list[tuple[str, int, Recipe]]:
        dense = self.dense(percent)
        steps = [("dense", 0, dense)]
        for method in (*self.methods, *(self.ablations or {})):
            if method == "width":
                steps += [
                    (method, level, dense.model_copy(update={"network": network}))
                    for level, network in enumerate(self.narrower(), start=1)
                ]
                continue
            change = {
                "intervention": self.chains.get(method),
                "rewind_epoch": self.rewind_epoch,
            }
            steps += [
                (method, level, dense.model_copy(update={**change, "level": level}))
                for level in range(1, self.levels + 1)
            ]
        early = next(filter(None, (recipe.early() for _, _, recipe in steps)), None)
        return [*steps[:1], *([(EARLY, 0, early)] if early else []), *steps[1:]]

    def _leaving_out(self, percent: float) -> dict[str, Recipe]:
        dense = self.dense(percent)
        return {
            method: dense.model_copy(update={"left_out": examples})
            for method, examples in (self.leave_out or {}).items()
        }

    def narrower(self) -> list[Network]:
        """Return the width-scaled networks, the widest first."""
        return [
            self.network.model_copy(
                update={"width": float(exact(self.network.width) * exact(self.width_factor) ** k)}
            )
            for k in range(1, self.last_level("width") + 1)
        ]


class StabilityBenchmark(CommonSettings):
    """Filters pruned while the network trains, and how flat the loss then is."""

    study: Literal["stability"]
    """The study that the benchmark belongs to; decides which keys it has."""
    variants: Annotated[dict[Name, Variant | None], Field(min_length=1)]
    """Ways to prune, by name; null trains without pruning."""
    el2n: El2n | None = None
    """How the influence of training examples is scored; null leaves it out."""
    flatness: Flatness | None = None
    """How the flatness of every run is measured; null leaves it out."""
    activations: Activations | None = None
    """How the distribution of every run's activations is measured; null leaves it out."""

    def runs(self, name: str) -> Iterator[PlannedRun]:
        """Yield the benchmark's training runs."""
        for variant, intervention in self.variants.items():
            recipe = Recipe(
                dataset=self.dataset,
                network=self.network,
                training=self.training,
                intervention=intervention,
                snapshots=self.snapshots,
            )
            for cohort in self.cohorts():
                yield PlannedRun(RunPath(self.study, name, "0", variant, 0, cohort), recipe)

    def scoring(self) -> Iterator[tuple[float, El2n, Recipe]]:
        """Yield how examples are scored and with what networks, for the one level of no noise."""
        if self.el2n:
            dense = Recipe(dataset=self.dataset, network=self.network, training=self.training)
            yield 0, self.el2n, dense.cut_off(self.el2n.epoch)

    def measured(self, path: RunPath) -> Flatness | None:
        """Return how the flatness of one of the benchmark's runs is measured, None if it is not."""
        return self.flatness

    def has(self, need: str) -> bool:
        """Return whether the benchmark has what a kind of figure needs.

        "noise" is temporary noise; "rates" are three or more at which one target is pruned.
        """
        variants = self.variants.values()
        if need == "noise":
            return any(isinstance(variant, FilterNoise) for variant in variants)
        if need == "rates":
            pruned = [variant for variant in variants if isinstance(variant, FilterPruning)]
            rates = {(variant.target, variant.period) for variant in pruned}
            return any(sum(target == t for t, _ in rates) >= 3 for target in get_args(Target))
        optional = {
            "el2n": self.el2n,
            "flatness": self.flatness,
            "activations": self.activations,
        }
        return bool(optional.get(need))

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Epochs before the last whose weights the flatness measurement needs."""
        if self.flatness is None or self.flatness.epoch == self.training.epochs:
            return ()
        return (self.flatness.epoch,)


Benchmark = Annotated[RegularizationBenchmark | StabilityBenchmark, Field(discriminator="study")]
