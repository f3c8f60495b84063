"""Captured steps: a tape stands for a CUDA graph, and does on the CPU what that does on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gst.data.loaded import Dataset
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.capture import WARM_UP, Replayed, graph_capture
from gst.training.checkpoint import Checkpoint
from gst.training.loop import DeviceData, TrainingState, train

READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal"}
"""What has to wait for a GPU."""


class Tape(TorchDispatchMode):
    """The operations of a step on the tensors of that step, numbers from Python as they were.

    Like a graph, it knows nothing of Python when it is played: an operation reads the memory that
    it read when it was captured, and writes its results to the memory that it wrote them to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._played: list[Callable[[], None]] = []
        self.operations: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        assert name not in READS, f"{name} waits for the device"
        results = func(*args, **kwargs)
        self.operations.append(name)
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if _is(t)}
        fresh = [
            number
            for number, result in enumerate(tree_leaves(results))
            if _is(result) and result.untyped_storage().data_ptr() not in given
        ]
        kept = tree_leaves(results)

        def play() -> None:
            again = tree_leaves(func(*args, **kwargs))
            for number in fresh:
                kept[number].copy_(again[number])

        self._played.append(play)
        return results

    def __call__(self) -> None:
        with torch.no_grad():
            for play in self._played:
                play()


def _is(value: object) -> bool:
    return isinstance(value, Tensor)


class Tapes:
    """Captures steps on tapes; as a graph does, it leaves every tensor of the run as it was."""

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self.tapes: list[Tape] = []
        self.played = 0

    def __call__(self, step: Callable[[], None]) -> Callable[[], None]:
        tensors = step.func.__self__  # type: ignore[attr-defined]
        held = [t for t in _tensors(self.state) if t is not None] + [tensors._now]
        before = [t.detach().clone() for t in held]
        tape = Tape()
        with tape:
            step()
        with torch.no_grad():
            for tensor, copy in zip(held, before, strict=True):
                tensor.copy_(copy)
        self.tapes.append(tape)

        def play() -> None:
            self.played += 1
            tape()

        return play


def _tensors(state: TrainingState) -> list[Tensor]:
    stacks = [state.cohort.weights, state.cohort.buffers, *state.moments.values(), state.memory]
    return [t for named in stacks for t in named.values()] + [state.loss, state.correct]


WEIGHTS = {"level": 1, "intervention": {"kind": "weights", "fraction": 0.36}}
SCHEDULE = {"fractions": [0.3, 0.5], "first_epochs": [0, 0], "last_epochs": [6, 6], "period": 6}
ADAM = {"kind": "adam", "lr": 0.01, "weight_decay": 0.01}
CASES: dict[str, dict[str, Any]] = {
    "lenet": {"training": {"milestones": [2, 4], "warmup_epochs": 1}},
    "lenet pruned, adam": {"optimiser": ADAM, **WEIGHTS},
    "lenet bf16": {"training": {"precision": "bf16"}},
    "lenet dropout": {"network_changes": {"dropout": 0.5}},
    "vgg augmented": {"network": "vgg-digits", "training": {"augment": "flip-crop"}},
    "vgg bf16": {"network": "vgg-digits", "training": {"precision": "bf16"}},
    "vgg dropout": {"network": "vgg-digits", "network_changes": {"dropout": 0.3}},
    "vgg filters": {
        "network": "vgg-digits",
        "optimiser": ADAM,
        "intervention": {"kind": "filters", "target": "L", **SCHEDULE},
    },
    "vgg filters by activation": {
        "network": "vgg-digits",
        "intervention": {"kind": "filters", "target": "S", "score": "activations", **SCHEDULE},
    },
    "vgg noise": {
        "network": "vgg-digits",
        "intervention": {
            "kind": "noise", "target": "S", "noise": "gaussian", "batches": 4, **SCHEDULE,
        },
    },
    "resnet": {"network": "resnet20"},
}  # fmt: skip


def made(recipe: Callable[..., Recipe], case: str) -> Recipe:
    """Return the recipe of a case, long enough that every kind of step is captured and replayed."""
    changes = dict(CASES[case])
    network = changes.pop("network_changes", {})
    training = {"epochs": 9 if "intervention" in changes else 6, **changes.pop("training", {})}
    value = recipe(training=training, **changes)
    return value.model_copy(update={"network": value.network.model_copy(update=network)})


def begun(recipe: Recipe, dataset: Dataset) -> tuple[TrainingState, DeviceData]:
    seeds, device = (4, 7), torch.device("cpu")
    draws = [np.random.default_rng(seed).permutation(dataset.train.labels) for seed in seeds]
    data = DeviceData.load(dataset, np.stack(draws), recipe.training, device)
    return TrainingState(recipe, seeds, 3, dataset.shape, len(data.images), device), data


def assert_same(found: TrainingState, expected: TrainingState) -> None:
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], array, name)
    columns = [name for name in expected.rows[0] if name != "seconds"]
    for ours, theirs in zip(found.rows, expected.rows, strict=True):
        np.testing.assert_equal([ours[c] for c in columns], [theirs[c] for c in columns])


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_are_those_made_one_by_one(
    case: str, recipe: Callable[..., Recipe], dataset: Dataset
) -> None:
    value = made(recipe, case)
    expected, data = begun(value, dataset)
    train(expected, data, interventions.make(value))
    found, data = begun(value, dataset)
    tapes = Tapes(found)
    train(found, data, interventions.make(value), capture=tapes)
    assert_same(found, expected)
    if "fractions" in str(CASES[case]):  # Kinds of step come and go with the masks.
        assert len(tapes.tapes) >= 2 and tapes.played > 5
    else:
        sizes = 2
        steps = value.training.epochs * expected.steps_an_epoch
        assert len(tapes.tapes) == sizes and tapes.played == steps - sizes * WARM_UP


def test_a_run_that_goes_on_in_mid_epoch_captures_anew(
    recipe: Callable[..., Recipe], dataset: Dataset, tmp_path: Any
) -> None:
    value = made(recipe, "vgg filters by activation")
    whole, data = begun(value, dataset)
    checkpoint = Checkpoint(tmp_path / "kept.safetensors", "c0de")

    def pause(state: TrainingState) -> None:
        if (state.epoch, state.step) == (1, 2):
            checkpoint.save(state)

    train(whole, data, interventions.make(value), capture=Tapes(whole), pause=pause)
    resumed, data = begun(value, dataset)
    assert checkpoint.resume(resumed) and resumed.step == 2
    train(resumed, data, interventions.make(value), capture=Tapes(resumed))
    assert_same(resumed, whole)


def test_a_kind_is_captured_after_its_warm_up_and_then_replayed() -> None:
    done: list[str] = []

    def capture(step: Callable[[], None]) -> Callable[[], None]:
        done.append("captured")
        return lambda: done.append("replayed")

    replayed = Replayed(capture)
    for kind in ["a", "b", *["a"] * (WARM_UP + 1)]:
        replayed(kind, lambda: done.append("made"))
    assert done == ["made"] * (WARM_UP + 1) + ["captured", "replayed", "replayed"]


def test_steps_are_not_captured_on_a_cpu() -> None:
    assert graph_capture(torch.device("cpu")) is None


def test_the_tape_sees_a_number_that_python_reads() -> None:
    number = torch.ones(1)
    with pytest.raises(AssertionError, match="waits for the device"), Tape():
        number.mul_(number.item())


def test_the_tape_follows_tensors_and_not_python() -> None:
    state, seen, rate = torch.ones(2), torch.zeros(2), [2.0]
    factor = torch.tensor(3.0)
    with Tape() as tape:
        seen.copy_((state * rate[0])[1:] * factor)
    assert seen.tolist() == [6.0, 6.0]
    rate[0] = 5.0
    factor.fill_(10.0)
    state.fill_(2.0)
    tape()
    assert seen.tolist() == [40.0, 40.0]
