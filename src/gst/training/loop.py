"""The training loop: one for every kind of run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from gst.data.device import EpochBatches, Normalise, padded, to_device, unpadded
from gst.data.loaded import Dataset
from gst.pruning.mask import Masks, count
from gst.randomness import generator
from gst.recipe import Recipe, Training
from gst.training.batch_norm import share_batch_norms
from gst.training.capture import Capture
from gst.training.cohort import Cohort, initial_keys, prunable
from gst.training.evaluate import evaluate
from gst.training.interventions import Intervention
from gst.training.optimisers import Optimiser, learning_rate
from gst.training.processes import ALONE, Processes
from gst.training.steps import Steps

Row = dict[str, Any]
Measure = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
"""Maps inputs [N, C, H, W] and labels [R, N] to tensors [R, N]."""


class Batches(Protocol):
    """One epoch of batches, of each the share of this process."""

    def __len__(self) -> int:
        """Return the number of batches."""

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs [R, B, C, H, W] and labels [R, B] of a step."""


class Data(Protocol):
    """What a run trains on and is measured on; resident if all of it lies on the device."""

    labels: Tensor
    test_labels: Tensor
    selection: Tensor
    processes: Processes
    resident: ClassVar[bool]

    @property
    def trained(self) -> int:
        """Number of examples that a replicate trains on."""

    def epoch(self, recipe: Recipe, seeds: tuple[int, ...], epoch: int) -> Batches:
        """Return the batches of an epoch."""

    def over_train(self, measure: Measure) -> Sequence[Tensor]:
        """Return what is measured on every training image, not augmented."""

    def over_test(self, measure: Measure) -> Sequence[Tensor]:
        """Return what is measured on every test image."""


@dataclass
class DeviceData:
    """A data set on the training device.

    Attributes:
        images: Training images, uint8 [N, C, H, W]; `padded` if they are augmented.
        labels: Labels trained on, int64 [R, N].
        test_inputs: Normalised test images, float32 [M, C, H, W].
        test_labels: int64 [M].
        selection: Which half of the test set selects, bool [M]; the other half reports.
        normalise: What turns images into inputs.
        kept: Training examples that each replicate trains on, int64 [R, K]; None for all.
        augment: How they are augmented: "none" or "flip-crop".
    """

    images: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    selection: Tensor
    normalise: Normalise
    kept: Tensor | None = None
    augment: str = "none"
    processes: Processes = ALONE
    resident: ClassVar[bool] = True

    @classmethod
    def load(
        cls,
        dataset: Dataset,
        labels: np.ndarray,
        training: Training,
        device: torch.device,
        left_out: np.ndarray | None = None,
    ) -> DeviceData:
        """Copy a data set to a device.

        Args:
            dataset: The data set.
            labels: Labels to train on, [R, N].
            training: Says how images become inputs.
            device: Where it goes.
            left_out: Which examples are not trained on, bool [R, N], equally many a replicate.
        """
        normalise = Normalise.of(dataset, training, device)
        images = to_device(dataset.train.images, device)
        return cls(
            images if training.augment == "none" else padded(images),
            to_device(labels, device),
            normalise(to_device(dataset.test.images, device)),
            to_device(dataset.test.labels, device),
            to_device(selecting(len(dataset.test)), device),
            normalise,
            None if left_out is None else to_device(kept_examples(left_out), device),
            augment=training.augment,
        )

    @property
    def trained(self) -> int:
        """Number of examples that a replicate trains on."""
        return len(self.images) if self.kept is None else self.kept.shape[1]

    def train_inputs(self) -> Tensor:
        """Return the normalised training images, not augmented."""
        whole = self.images if self.augment == "none" else unpadded(self.images)
        return self.normalise(whole)

    def epoch(self, recipe: Recipe, seeds: tuple[int, ...], epoch: int) -> Batches:
        """Return the batches of an epoch."""
        return EpochBatches(
            self.images,
            self.labels,
            seeds=seeds,
            level=recipe.level,
            epoch=epoch,
            batch_size=recipe.training.batch_size,
            augment=self.augment,
            normalise=self.normalise,
            kept=self.kept,
        )

    def over_train(self, measure: Measure) -> Sequence[Tensor]:
        """Return what is measured on every training image, not augmented."""
        return measure(self.train_inputs(), self.labels)

    def over_test(self, measure: Measure) -> Sequence[Tensor]:
        """Return what is measured on every test image."""
        return measure(self.test_inputs, self.test_labels)


def selecting(examples: int) -> np.ndarray:
    """Return which half of the test examples selects, bool [M]."""
    selection = np.zeros(examples, dtype=bool)
    selection[generator(0, "selection").permutation(examples)[: examples // 2]] = True
    return selection


class TrainingState:
    """A run as it stands between two steps.

    Attributes:
        recipe: What is trained.
        seeds: One a replicate.
        cohort: The replicates.
        optimiser: Their optimiser and its moments.
        masks: Masks of the parameters that are pruned anywhere, bool [R, ...].
        leaf_masks: The same as 1.0 and 0.0, for each part of the cohort by the number of a leaf; in
            memory that stays in place.
        prunable: Names of the weights that pruning may remove.
        epoch: Epoch of the schedule that the next step belongs to, from 0.
        step: Number of steps done in that epoch.
        rows: The metrics of every finished epoch, one row a replicate and epoch.
        snapshots: The states kept so far, by number of finished epochs.
        memory: What the intervention remembers, by names of its own; a checkpoint keeps it.
        loss: Loss of each example trained on in this epoch, in order of training, [R, N].
        correct: Whether it was classified as labelled, bool [R, N].
    """

    def __init__(
        self,
        recipe: Recipe,
        seeds: Sequence[int],
        classes: int,
        shape: tuple[int, int, int],
        examples: int,
        device: torch.device,
    ) -> None:
        self.recipe = recipe
        self.seeds = tuple(seeds)
        stacked = recipe.training.precision == "float32"
        self.cohort = Cohort(
            recipe.network, classes, shape, initial_keys(seeds), device, stacked=stacked
        )
        settings = recipe.training.optimiser
        self.moments = {name: self.cohort.like_weights() for name in Optimiser.slot_names(settings)}
        leaves = [part.leaves for part in self.cohort.parts]
        slots = {
            name: [list(own.values()) for own in self.cohort.per_leaf(stacks)]
            for name, stacks in self.moments.items()
        }
        self.optimiser = Optimiser(settings, leaves, slots, fused=device.type == "cuda")
        self.prunable = prunable(self.cohort.modules[0], recipe.network)
        self.masks: Masks = {}
        self._factors: dict[str, Tensor] = {}
        self.leaf_masks = self.cohort.per_leaf({})
        self.epoch = recipe.first_epoch
        self.step = 0
        self.rows: list[Row] = []
        self.snapshots: dict[int, dict[str, np.ndarray]] = {}
        self.memory: dict[str, Tensor] = {}
        self.loss = torch.zeros(len(self.seeds), examples, device=device)
        self.correct = torch.zeros_like(self.loss, dtype=torch.bool)

    @property
    def steps_an_epoch(self) -> int:
        """Number of steps in an epoch, its last and perhaps smaller batch included."""
        return -(-self.loss.shape[1] // self.recipe.training.batch_size)

    def mask(self, name: str) -> Tensor:
        """Return the mask of a parameter, bool [R, ...]; all True if nothing was pruned."""
        found = self.masks.get(name)
        if found is None:
            return torch.ones_like(self.cohort.weights[name], dtype=torch.bool)
        return found

    @torch.no_grad()
    def set_masks(self, masks: Masks) -> None:
        """Set the masks of some parameters; what they prune becomes zero, its moments too."""
        self.masks = {**self.masks, **masks}
        for name, mask in masks.items():
            for stack in (self.cohort.weights, *self.moments.values()):
                stack[name].mul_(mask)
        new = [name for name in masks if name not in self._factors]
        self._factors |= self.cohort.like_weights(new)
        for name, mask in masks.items():
            self._factors[name].copy_(mask)
        self.leaf_masks = self.cohort.per_leaf(self._factors)

    def remaining(self) -> list[int]:
        """Return how many prunable weights are alive in each replicate."""
        return count({name: self.mask(name) for name in self.prunable})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return weights, buffers and masks as files hold them."""
        masks = {
            f"masks/{name}": mask.cpu().numpy().astype(np.uint8)
            for name, mask in self.masks.items()
        }
        return {**self.cohort.state(), **masks}

    def load_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take weights, buffers and masks as `arrays` returns them.

        Raises:
            ValueError: If they do not fit the network.
        """
        self.cohort.load_state(arrays)
        kind = "masks/"
        self.set_masks(
            {
                name.removeprefix(kind): torch.from_numpy(array).bool().to(self.cohort.device)
                for name, array in arrays.items()
                if name.startswith(kind)
            }
        )


def train(
    state: TrainingState,
    data: Data,
    intervention: Intervention,
    *,
    rewound: Mapping[str, np.ndarray] | None = None,
    capture: Capture | None = None,
    pause: Callable[[TrainingState], None] = lambda state: None,
    progress: Callable[[list[Row]], None] = lambda rows: None,
) -> None:
    """Train a cohort to the last epoch of its schedule.

    Args:
        state: Where to start; left as the run ends.
        data: What to train on.
        intervention: What happens beside training.
        rewound: Weights and buffers, as `TrainingState.arrays` has them, that replace the state's
            after the pruning before the first step; None keeps the state's own.
        capture: What captures steps to replay them, for resident data; None carries out each as
            it comes.
        pause: Called after every step, where a checkpoint can be written.
        progress: Called with each finished epoch's rows.
    """
    settings = state.recipe.training
    cohort = state.cohort
    if data.processes.size > 1:
        for module in cohort.modules:
            share_batch_norms(module, data.processes)
    intervention.attach(state)
    if not state.rows:
        started = time.perf_counter()
        before = _measure(state, data)
        targets = intervention.before_first_step(state, data)
        _record(state, data, before, targets, started, trained=False)
        if rewound is not None:
            state.cohort.load_state(rewound)
            state.set_masks(state.masks)
    steps = Steps(state, data.processes, capture)
    batches = data.epoch(state.recipe, state.seeds, state.epoch)
    while state.epoch < settings.epochs:
        started = time.perf_counter()
        cohort.train()
        steps.begin(batches)
        for step in range(state.step, len(batches)):
            steps.make(intervention.kind(state))
            intervention.after_step(state)
            state.step = step + 1
            pause(state)
        if state.epoch + 1 < settings.epochs:  # Drawn while a GPU still works on this one.
            batches = data.epoch(state.recipe, state.seeds, state.epoch + 1)
        before = _measure(state, data)
        targets = intervention.end_of_epoch(state)
        state.epoch += 1
        state.step = 0
        _record(state, data, before, targets, started, trained=True)
        progress(state.rows[-len(state.seeds) :])
        if state.epoch in state.recipe.snapshots:
            state.snapshots[state.epoch] = state.arrays()
        pause(state)


def kept_examples(left_out: np.ndarray) -> np.ndarray:
    """Return the examples that are not left out, [R, K], in order, of bool [R, N]."""
    return np.stack([np.flatnonzero(~row) for row in left_out])


def _measure(state: TrainingState, data: Data) -> dict[str, list[float]]:
    precision = state.recipe.training.precision
    loss, correct = data.over_test(partial(evaluate, state.cohort, precision=precision))
    parts = torch.stack([torch.ones_like(data.selection), data.selection, ~data.selection]).double()
    whole, selection, report = (parts @ correct.double().T / parts.sum(1, keepdim=True)).tolist()
    return {
        "test_loss": _means(loss),
        "test_accuracy": whole,
        "selection_accuracy": selection,
        "report_accuracy": report,
    }


def _means(numbers: Tensor) -> list[float]:
    """Return the mean of each row; one by one, so that none depends on the others."""
    return torch.stack([row.double().mean() for row in numbers]).tolist()


def _record(
    state: TrainingState,
    data: Data,
    before: dict[str, list[float]],
    targets: int,
    started: float,
    *,
    trained: bool,
) -> None:
    """Add the rows of an epoch just finished, or of the state before the first step."""
    replicates = range(len(state.seeds))
    after = _measure(state, data)["test_accuracy"] if targets else None
    total = sum(state.cohort.weights[name][0].numel() for name in state.prunable)
    remaining = state.remaining()
    last = max(state.epoch - 1, state.recipe.first_epoch)
    steps = state.steps_an_epoch
    lr = learning_rate(state.recipe.training, last, steps - 1, steps) if trained else math.nan
    undefined = [math.nan] * len(state.seeds)
    loss = _means(state.loss) if trained else undefined
    correct = _means(state.correct) if trained else undefined
    seconds = time.perf_counter() - started
    state.rows += [
        {
            "seed": state.seeds[r],
            "level": state.recipe.level,
            "epoch": state.epoch,
            "lr": lr,
            "train_loss": loss[r],
            "train_accuracy": correct[r],
            **{name: values[r] for name, values in before.items()},
            "density": remaining[r] / total,
            "accuracy_before": before["test_accuracy"][r] if after else math.nan,
            "accuracy_after": after[r] if after else math.nan,
            "targets": targets,
            "seconds": seconds,
        }
        for r in replicates
    ]
