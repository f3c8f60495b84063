"""What holds for every kind: replicates do not see each other, a resumed run is undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gst import registry
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.checkpoint import Checkpoint
from gst.training.loop import DeviceData, TrainingState, train

ADAM = {"kind": "adam", "lr": 0.01}
SCHEDULE = {
    "fractions": [0.5, 0.8],
    "first_epochs": [0, 1],
    "last_epochs": [2, 2],
    "period": 1,
    "target": "L",
}
NOISE = {**SCHEDULE, "kind": "noise", "period": 2}
CASES: dict[str, dict[str, Any]] = {
    "filters activations": {
        "intervention": {**SCHEDULE, "kind": "filters", "score": "activations"},
        "network": "resnet20-a",
        "width": 0.25,
        "training": {"epochs": 4, "batch_size": 20},
    },
    "filters ebn": {
        "intervention": {**SCHEDULE, "kind": "filters", "score": "ebn_alt"},
        "network": "resnet18",
        "width": 1 / 16,
    },
    "scratch": {"intervention": {"kind": "scratch", "fractions": 0.4, "score": "l1"}},
    "zero": {"intervention": {**NOISE, "noise": "zero", "batches": 4}},
    "restore": {
        "intervention": {**NOISE, "noise": "restore", "batches": 5, "hits": "cumulative"},
        "network": "resnet18",
        "width": 1 / 16,
    },
    "gaussian": {
        "intervention": {
            **NOISE, "noise": "gaussian", "batches": 4, "hits": "cumulative", "target": "R",
        },
    },
    "gradual": {
        "intervention": {
            "kind": "gradual", "fraction": 0.7, "first_epoch": 0, "last_epoch": 2, "period": 1,
            "target": "R",
        },
    },
    "weights snip": {"intervention": {"kind": "weights", "score": "snip"}, "level": 1},
    "weights synflow": {
        "intervention": {"kind": "weights", "score": "synflow", "scope": "layer"},
        "network": "resnet18",
        "width": 1 / 16,
        "level": 1,
    },
    "weights random": {
        "intervention": {"kind": "weights", "score": "random", "schedule": "one-shot"},
        "network": "lenet-digits",
        "level": 2,
    },
    "weights largest": {
        "intervention": {"kind": "weights", "score": "largest"},
        "network": "resnet20-a",
        "width": 0.25,
        "level": 1,
    },
    "dense-sparse-dense": {
        "intervention": {
            "kind": "dense-sparse-dense", "fraction": 0.5, "sparse_epoch": 0, "dense_epoch": 1,
        },
    },
}  # fmt: skip


@pytest.fixture
def made(with_intervention: Callable[..., Recipe]) -> Callable[[str], Recipe]:
    def make(case: str) -> Recipe:
        defaults = {"optimiser": ADAM, "training": {"epochs": 4}}
        return with_intervention(**{**defaults, **CASES[case]})

    return make


def equal(a: TrainingState, b: TrainingState, rows: slice = slice(None)) -> None:
    """Check that two runs ended the same, or that a is some of b's replicates."""
    whole = b.arrays()
    for name, array in a.arrays().items():
        np.testing.assert_array_equal(array, whole[name][rows], name)
    assert a.memory.keys() == b.memory.keys()
    for name, tensor in a.memory.items():
        assert torch.equal(tensor, b.memory[name][rows]), name
    ours = [{**row, "seconds": 0} for row in a.rows]
    theirs = [{**row, "seconds": 0} for row in b.rows if row["seed"] in a.seeds]
    np.testing.assert_equal(ours, theirs)


def test_there_is_a_case_for_every_kind() -> None:
    kinds = {case["intervention"]["kind"] for case in CASES.values()}
    assert kinds == set(registry.entries("gst.training.interventions"))


@pytest.mark.parametrize("case", CASES)
def test_alone_and_in_company(
    case: str,
    made: Callable[[str], Recipe],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
) -> None:
    runs = []
    for seeds in ((3, 5), (5,)):
        state, data = begin(made(case), seeds)
        train(state, data, interventions.make(state.recipe))
        runs.append(state)
    equal(runs[1], runs[0], slice(1, 2))


@pytest.mark.parametrize("case", CASES)
def test_resumed_is_undisturbed(
    case: str,
    made: Callable[[str], Recipe],
    begin: Callable[..., tuple[TrainingState, DeviceData]],
    tmp_path: Path,
) -> None:
    whole, data = begin(made(case))
    places = []

    def save(state: TrainingState) -> None:
        places.append((state.epoch, state.step))
        checkpoint(places[-1]).save(state)

    def checkpoint(place: tuple[int, int]) -> Checkpoint:
        return Checkpoint(tmp_path / f"{place[0]}-{place[1]}.safetensors", "c0de")

    train(whole, data, interventions.make(whole.recipe), pause=save)
    last = whole.steps_an_epoch
    # Before an event, just after it, inside noise, at its end, and after it.
    for place in ((0, last), (1, 0), (1, 2), (2, 1), (3, 2)):
        assert place in places
        state, _ = begin(whole.recipe)
        assert checkpoint(place).resume(state)
        train(state, data, interventions.make(state.recipe))
        equal(state, whole)
