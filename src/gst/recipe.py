"""The recipe: everything, beside the seed, that a training run's result depends on."""

from __future__ import annotations

import json
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator


class Frozen(BaseModel):
    """A value: immutable, strict about types, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def canonical(self) -> str:
        """Return the one JSON text of this value: sorted keys, defaults left out.

        A new setting with a default therefore leaves the text of every older value as it was.
        """
        return json.dumps(
            self.model_dump(mode="json", exclude_defaults=True),
            sort_keys=True,
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a value back from its JSON text.

        Raises:
            pydantic.ValidationError: If the text is not a value of this type.
        """
        return cls.model_validate_json(text)


def exact(fraction: float) -> Fraction:
    """Return the decimal that was written, not the nearest float: .7 is 7/10."""
    return Fraction(repr(fraction))


def final_filters(fraction: float, filters: int) -> int:
    """Return how many of a layer's filters stay when a fraction of them is removed."""
    return ceil((1 - exact(fraction)) * filters)


Probability = Annotated[float, Field(ge=0, lt=1)]
ReadableFraction = Annotated[float, Field(gt=0, lt=1)]


NoiseKind = Literal["uniform", "pair-flip", "asymmetric"]


class LabelNoise(Frozen):
    """Wrong labels put into the training set, one draw a seed."""

    percent: Annotated[float, Field(ge=0, lt=100)] = 0.0
    """Share of the training examples that get a wrong label, in percent; for asymmetric noise, of
    those whose class is in `map`."""
    kind: NoiseKind = "uniform"
    """uniform: one of the other labels, each as likely. pair-flip: the label after the right one,
    the first after the last. asymmetric: the label that `map` says."""
    map: dict[str, str] = Field(default={})
    """For asymmetric noise, the class whose label the examples of a class get, both by name."""

    @model_validator(mode="after")
    def _maps_classes(self) -> Self:
        if self.kind == "asymmetric" and not self.map:
            raise ValueError("asymmetric noise needs a map from classes to other classes")
        if self.kind != "asymmetric" and self.map:
            raise ValueError(f"only asymmetric noise has a map, {self.kind} noise has none")
        for name, wrong in self.map.items():
            if name == wrong:
                raise ValueError(f"the map leaves {name} as it is; leave it out")
        return self


class Network(Frozen):
    """Which network is trained."""

    name: str
    """Name of a registered model."""
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on the number of units or channels of every hidden layer."""
    init: Literal["he", "openlth", "pytorch"] = "he"
    """Initialisation. he: Kaiming normal (fan out) convolutions, PyTorch's default dense layers,
    batch-norm scale 1. openlth: Kaiming normal (fan in) weights, batch-norm scale drawn from
    U[0, 1]. pytorch: PyTorch's default for every layer."""
    dropout: Probability = 0.0
    """Probability with which an input of the last dense layer is zeroed while training."""
    keep_last_layer: bool = False
    """Never prune the last dense layer, and leave it out of every count of weights."""


class Sgd(Frozen):
    """Stochastic gradient descent, as torch.optim.SGD."""

    kind: Literal["sgd"]
    lr: Annotated[float, Field(gt=0)]
    """Learning rate."""
    momentum: Probability = 0.0
    """Share of the last step's direction that the next one keeps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Factor on the weights that is added to their gradients."""


class Adam(Frozen):
    """Adam, as torch.optim.Adam."""

    kind: Literal["adam"]
    lr: Annotated[float, Field(gt=0)]
    """Learning rate."""
    beta1: Probability = 0.9
    """Decay of the running mean of the gradients."""
    beta2: Probability = 0.999
    """Decay of the running mean of the squared gradients."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the denominator, so that it is never 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Factor on the weights that is added to their gradients."""


Optimiser = Annotated[Sgd | Adam, Field(discriminator="kind")]


class Training(Frozen):
    """How a network is trained from its start to its last epoch."""

    epochs: PositiveInt
    """Epochs of one full training; the last partial batch of an epoch is kept."""
    batch_size: PositiveInt
    """Examples a step."""
    optimiser: Optimiser
    """What turns gradients into steps."""
    milestones: tuple[PositiveInt, ...] = ()
    """Epochs, counted from 0, at whose start the learning rate is multiplied by `gamma`."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor on the learning rate at each milestone."""
    warmup_epochs: NonNegativeInt = 0
    """Epochs over which the learning rate rises linearly, step by step, to its value."""
    augment: Literal["none", "flip-crop", "resized-crop"] = "none"
    """Random changes of the training images. flip-crop: horizontal flip, and crop after padding
    by 4. resized-crop, of streamed images: a part of random size and shape, scaled, and horizontal
    flip, as torchvision's RandomResizedCrop."""
    input_std: Annotated[tuple[ReadableFraction, ...], Field(min_length=1)] | None = None
    """Standard deviation of each channel, in 0..1, that inputs are divided by; that of the
    training images if null."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of the arithmetic. bf16: matrix products and convolutions in bfloat16; weights
    stay float32."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must increase, found {list(self.milestones)}")
        if self.milestones and self.milestones[-1] >= self.epochs:
            raise ValueError(
                f"milestone {self.milestones[-1]} is never reached in {self.epochs} epochs"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs}) must be below epochs ({self.epochs})"
            )
        return self


class WeightPruning(Frozen):
    """Unstructured pruning before the first step of every level after level 0.

    Source: regularization study, section 2; Renda et al. 2020 for what is rewound.
    """

    kind: Literal["weights"]
    """Single weights are pruned."""
    fraction: ReadableFraction = 0.2
    """Share of the weights still alive that each level removes."""
    score: str = "magnitude"
    """Name of a registered score; the weights with the lowest scores go."""
    scope: Literal["global", "layer"] = "global"
    """What scores are compared in. global: all layers together. layer: each layer by itself, so
    that each loses the fraction of its own weights."""
    rewind: Literal["learning-rate", "weights"] = "learning-rate"
    """What goes back to the rewind epoch. learning-rate: only the schedule, and the weights that
    stay keep their trained values. weights: these too, and the buffers, to those of the dense
    network at that epoch."""
    schedule: Literal["iterative", "one-shot"] = "iterative"
    """What a level starts from. iterative: the level before. one-shot: the dense network, of which
    it removes at once what iterative pruning removes up to that level."""


Target = Literal["S", "R", "L"]


def _events(first: int, last: int, period: int | None) -> range:
    return range(first, last + 1, period or last + 1)


def _kept(fraction: float, number: int, event: int, events: int) -> int:
    final = final_filters(fraction, number)
    return ceil(final + Fraction((number - final) * (events - event), events))


class FilterSchedule(Frozen):
    """Which filters are hit, and when, while training goes on (stability study, section 2).

    A list holds one entry for each of the network's last prunable convolutions, in network
    order. A single number holds for each listed one; a single fraction for all of the network.
    """

    fractions: ReadableFraction | Annotated[tuple[ReadableFraction, ...], Field(min_length=1)]
    """Total share of the filters that is hit, a layer."""
    first_epochs: NonNegativeInt | tuple[NonNegativeInt, ...]
    """Epoch, counted from 0, at whose end a layer is first hit."""
    last_epochs: NonNegativeInt | tuple[NonNegativeInt, ...]
    """Last epoch at whose end a layer may be hit."""
    period: PositiveInt | None
    """Epochs between two events of a layer; null hits all filters at once, at its first epoch."""
    target: Target
    """Which filters are hit: those with the smallest scores, random ones, or the largest scores."""
    score: str = "l2"
    """Name of a registered filter score."""

    @model_validator(mode="after")
    def _lists_match(self) -> Self:
        lists = {
            name: value
            for name in ("fractions", "first_epochs", "last_epochs")
            if isinstance(value := getattr(self, name), tuple)
        }
        if lists and "fractions" not in lists:
            raise ValueError("fractions is one number for all layers, so epochs must be one, too")
        for name, entries in lists.items():
            if len(entries) != len(lists["fractions"]):
                raise ValueError(
                    f"{name} has {len(entries)} entries, fractions has {len(lists['fractions'])}"
                )
        windows = [self._window(layer) for layer in range(self.layers or 1)]
        for first, last in windows:
            if first > last:
                raise ValueError(f"first epoch {first} comes after last epoch {last}")
        longest = max(last - first for first, last in windows)
        if self.period is not None and self.period > longest:
            raise ValueError(
                f"period {self.period} is longer than the longest window, {longest} epochs, so no "
                "layer is hit twice; write null to hit all filters at once"
            )
        return self

    @property
    def layers(self) -> int | None:
        """Number of the network's last prunable convolutions that are hit; None for all."""
        return len(self.fractions) if isinstance(self.fractions, tuple) else None

    def _window(self, layer: int) -> tuple[int, int]:
        first, last = self.first_epochs, self.last_epochs
        return (
            first[layer] if isinstance(first, tuple) else first,
            last[layer] if isinstance(last, tuple) else last,
        )

    def fraction(self, layer: int) -> float:
        """Return the total share of the filters that is hit in the given layer (by position)."""
        return self.fractions[layer] if isinstance(self.fractions, tuple) else self.fractions

    def events(self, layer: int) -> range:
        """Return the epochs at whose end the given layer (by position) is hit."""
        return _events(*self._window(layer), self.period)

    def kept(self, layer: int, filters: int, event: int) -> int:
        """Return how many of a layer's filters are not hit yet after its event number 1, 2, ..."""
        return _kept(self.fraction(layer), filters, event, len(self.events(layer)))

    @property
    def last_event(self) -> int:
        """The last epoch at whose end any layer is hit."""
        return max(self.events(layer)[-1] for layer in range(self.layers or 1))


class FilterPruning(FilterSchedule):
    """Structured pruning while training goes on (stability study, section 2)."""

    kind: Literal["filters"]


class FilterNoise(FilterSchedule):
    """Noise for some batches on the filters that a schedule would prune; nothing is pruned.

    Source: stability study, section 3.3 and appendix D.
    """

    kind: Literal["noise"]
    noise: Literal["zero", "restore", "gaussian"]
    """zero: weights are held at zero, and train on from there. restore: the same, but then the
    filter returns as it was, its batch norm included. gaussian: to the weights N(0, s^2) is added
    before every batch, s the standard deviation of the weights of the layer's other filters."""
    batches: PositiveInt
    """Training batches that see the noise, from the event on."""
    hits: Literal["newest", "cumulative"] = "newest"
    """Which filters an event hits: its own, or those of the layer's earlier events as well."""


class ScratchPruning(Frozen):
    """Filters are pruned once, before training, by the scores of the random initialisation."""

    kind: Literal["scratch"]
    fractions: ReadableFraction | Annotated[tuple[ReadableFraction, ...], Field(min_length=1)]
    """Total share of the filters that is removed: one entry for each of the network's last
    prunable convolutions, or one number for all of the network."""
    score: str = "l2"
    """Name of a registered filter score; the filters with the lowest scores go."""

    @property
    def layers(self) -> int | None:
        """Number of the network's last prunable convolutions that are pruned; None for all."""
        return len(self.fractions) if isinstance(self.fractions, tuple) else None

    def fraction(self, layer: int) -> float:
        """Return the share of the filters that is removed in the given layer (by position)."""
        return self.fractions[layer] if isinstance(self.fractions, tuple) else self.fractions


class GradualPruning(Frozen):
    """Unstructured pruning, global over the network, while training goes on.

    A comparison that reviewers of the stability study asked for.
    """

    kind: Literal["gradual"]
    fraction: ReadableFraction
    """Total share of the prunable weights that is removed."""
    first_epoch: NonNegativeInt
    """Epoch, counted from 0, at whose end weights are first pruned."""
    last_epoch: NonNegativeInt
    """Last epoch at whose end weights may be pruned."""
    period: PositiveInt | None
    """Epochs between two prunings; null prunes once, at the first epoch."""
    target: Target
    """Which weights go: those with the smallest scores, random ones, or the largest scores."""
    score: str = "magnitude"
    """Name of a registered weight score."""

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        window = self.last_epoch - self.first_epoch
        if window < 0:
            raise ValueError(
                f"first epoch {self.first_epoch} comes after last epoch {self.last_epoch}"
            )
        if self.period is not None and self.period > window:
            raise ValueError(
                f"period {self.period} is longer than the window, {window} epochs, so nothing is "
                "pruned twice; write null to prune all at once"
            )
        return self

    @property
    def events(self) -> range:
        """The epochs at whose end weights are pruned."""
        return _events(self.first_epoch, self.last_epoch, self.period)

    def kept(self, weights: int, event: int) -> int:
        """Return how many of the prunable weights stay after event number 1, 2, ..."""
        return _kept(self.fraction, weights, event, len(self.events))

    @property
    def last_event(self) -> int:
        """The last epoch at whose end weights are pruned."""
        return self.events[-1]


class DenseSparseDense(Frozen):
    """Dense-sparse-dense training (Han et al. 2017).

    Weights are pruned, the others train on, and then the pruned ones return, from zero.
    """

    kind: Literal["dense-sparse-dense"]
    fraction: ReadableFraction
    """Share of the prunable weights, global over the network, that is pruned."""
    sparse_epoch: NonNegativeInt
    """Epoch, counted from 0, at whose end weights are pruned."""
    dense_epoch: NonNegativeInt
    """Epoch at whose end they return."""
    score: str = "magnitude"
    """Name of a registered weight score; the weights with the lowest scores are pruned."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.dense_epoch <= self.sparse_epoch:
            raise ValueError(
                f"dense_epoch {self.dense_epoch} does not come after sparse_epoch "
                f"{self.sparse_epoch}"
            )
        return self

    @property
    def last_event(self) -> int:
        """The epoch at whose end the pruned weights return."""
        return self.dense_epoch


Intervention = Annotated[
    WeightPruning
    | FilterPruning
    | FilterNoise
    | ScratchPruning
    | GradualPruning
    | DenseSparseDense,
    Field(discriminator="kind"),
]


class LeaveOut(Frozen):
    """Training examples that a dense network is trained without.

    Chosen by what pruning did to them in finished runs of the same seed (regularization study,
    appendices D, E and K).
    """

    by: Literal["improved", "misclassified", "worsened-subgroup", "random"]
    """improved: those whose training loss the pruned network lowers most below that of the dense
    one. misclassified: those that the pruned network misclassifies. worsened-subgroup: the group
    by EL2N score whose mean loss it raises most. random: any."""
    percent: Annotated[float, Field(gt=0, lt=100)] | None = None
    """Share of the training examples, in percent, for improved and random."""
    which: Literal["optimal", "sparsest-better"] = "optimal"
    """The level of the pruned network. optimal: that with the lowest error on the test set.
    sparsest-better: the sparsest that is better than dense; the optimal one where none is."""

    @model_validator(mode="after")
    def _states_its_share(self) -> Self:
        stated = self.by in ("improved", "random")
        if stated and self.percent is None:
            raise ValueError(f"{self.by} needs a percent, the share that is left out")
        if not stated and self.percent is not None:
            raise ValueError(f"{self.by} says by itself how many are left out; it has no percent")
        return self


class Recipe(Frozen):
    """A training run, but for its seed.

    Level 0 trains from the initialisation. Every further level starts from the weights that
    the level before ended with (level 0, where all is pruned in one shot), replays the schedule
    from `rewind_epoch` with a fresh optimiser, and, if the intervention prunes weights, prunes
    before its first step. Without an intervention a further level is a step of extended dense
    training.
    """

    dataset: str
    """Name of a prepared dataset."""
    labels: LabelNoise = LabelNoise()
    left_out: LeaveOut | None = None
    """Training examples that are not trained on; a file lists them for every seed."""
    network: Network
    training: Training
    intervention: Intervention | None = None
    level: NonNegativeInt = 0
    rewind_epoch: NonNegativeInt = 0
    """Epoch to which further levels rewind the learning-rate schedule, or the weights as well."""
    snapshots: tuple[PositiveInt, ...] = ()
    """Numbers of finished epochs after which the weights are kept, beside the last."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        epochs = self.training.epochs
        if self.rewind_epoch >= epochs:
            raise ValueError(
                f"rewind_epoch {self.rewind_epoch} is past the end: there are {epochs} epochs"
            )
        if self.rewinds_weights and 0 < self.rewind_epoch <= self.training.warmup_epochs:
            raise ValueError(
                f"weights cannot be rewound to epoch {self.rewind_epoch}, in the warm-up of "
                f"{self.training.warmup_epochs} epochs; rewind to 0 or past its end"
            )
        for n in self.snapshots:
            if n > epochs:
                raise ValueError(f"snapshot after epoch {n} of {epochs}")
        if self.left_out and (self.level or self.intervention):
            raise ValueError("examples are left out of dense training only")
        late = getattr(self.intervention, "last_event", 0)
        if late >= epochs:
            raise ValueError(
                f"an event at the end of epoch {late}, but the last epoch is {epochs - 1}"
            )
        return self

    @property
    def first_epoch(self) -> int:
        """The epoch of the schedule with which this level starts."""
        return self.rewind_epoch if self.level else 0

    @property
    def epochs_spent(self) -> int:
        """Epochs trained up to the end of this level, all levels before it included."""
        epochs = self.training.epochs
        retrained = min(self.level, 1) if self._one_shot else self.level
        return epochs + retrained * (epochs - self.rewind_epoch)

    @property
    def rewinds_weights(self) -> bool:
        """Whether this level's weights start from those of the dense network early on."""
        pruning = self.intervention
        return self.level > 0 and isinstance(pruning, WeightPruning) and pruning.rewind == "weights"

    @property
    def _one_shot(self) -> bool:
        pruning = self.intervention
        return isinstance(pruning, WeightPruning) and pruning.schedule == "one-shot"

    def previous(self) -> Recipe | None:
        """Return the recipe of the level that this one starts from, or None at level 0."""
        if self.level == 0:
            return None
        if self.level == 1 or self._one_shot:
            return self._dense()
        return self.model_copy(update={"level": self.level - 1})

    def early(self) -> Recipe | None:
        """Return the recipe of the network whose weights this level rewinds to.

        Returns:
            Dense training cut off at the rewind epoch; None if no weights are rewound, or to the
            initialisation.
        """
        if not (self.rewinds_weights and self.rewind_epoch):
            return None
        return self._dense().cut_off(self.rewind_epoch)

    def cut_off(self, epochs: int) -> Recipe:
        """Return this recipe stopped after some epochs, without the milestones that are later."""
        milestones = tuple(epoch for epoch in self.training.milestones if epoch < epochs)
        training = self.training.model_copy(update={"epochs": epochs, "milestones": milestones})
        return self.model_copy(update={"training": training})

    def _dense(self) -> Recipe:
        return self.model_copy(update={"level": 0, "intervention": None, "rewind_epoch": 0})


class FlatnessSettings(Frozen):
    """How well the flatness of the loss around weights is measured (stability study, section 6).

    Always both on test images, as published, and on training images. Masked weights are no part
    of the network: derivatives are those over the weights that it has.
    """

    examples: PositiveInt = 512
    """Images of each split, from the first on; all if there are fewer."""
    k: Annotated[int, Field(ge=1, le=1000)] = 100
    """Hessian eigenvalues, those of largest magnitude, whose sum is the trace as published."""
    directions: PositiveInt = 10
    """Leading eigenvectors along which the distance epsilon is searched; at most `k`."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.0001
    """Residual up to which an eigenvalue counts as found, relative to the largest."""
    trace_samples: Annotated[int, Field(ge=2)] = 20
    """Random vectors of the unbiased estimate of the Hessian's trace."""


class Flatness(FlatnessSettings):
    """How the flatness of the loss around a run's weights is measured, and when."""

    epoch: PositiveInt
    """Number of finished epochs after which it is measured."""


class Activations(Frozen):
    """Distribution of batch-normalised activations on the first test images.

    Measured on untrained and on trained networks (stability study, appendix B, Figure B1).
    """

    examples: PositiveInt = 512
    """Test images, from the first on; all if there are fewer."""


def jsonable(value: Frozen) -> dict[str, Any]:
    """Return a value as plain dictionaries and lists, defaults included."""
    return value.model_dump(mode="json")
