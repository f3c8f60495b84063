"""A replicate trained alone and in a cohort is the same, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from gst.data.loaded import Dataset
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.cohort import Cohort, initial_keys, prunable
from gst.training.evaluate import evaluate
from gst.training.loop import DeviceData, TrainingState, train

FILTERS = {
    "kind": "filters",
    "fractions": [0.3, 0.5],
    "first_epochs": [0, 1],
    "last_epochs": [2, 2],
    "period": 1,
    "target": "R",
}
CASES = {
    "lenet sgd": {},
    "lenet adam, weight decay": {
        "optimiser": {"kind": "adam", "lr": 0.01, "weight_decay": 0.01},
    },
    "lenet pruned": {"level": 1, "intervention": {"kind": "weights", "fraction": 0.36}},
    "vgg adam": {"network": "vgg-digits", "optimiser": {"kind": "adam", "lr": 0.01}},
    "vgg filters": {"network": "vgg-digits", "intervention": FILTERS},
    "vgg augmented": {"network": "vgg-digits", "training": {"augment": "flip-crop"}},
    "resnet": {"network": "resnet20", "training": {"epochs": 1, "batch_size": 40}},
}


def trained(
    recipe: Recipe, seeds: Sequence[int], dataset: Dataset
) -> tuple[TrainingState, DeviceData]:
    """Train seeds together, each on labels of its own."""
    draws = [np.random.default_rng(seed).permutation(dataset.train.labels) for seed in seeds]
    device = torch.device("cpu")
    data = DeviceData.load(dataset, np.stack(draws), recipe.training, device)
    state = TrainingState(recipe, seeds, 3, dataset.shape, len(data.images), device)
    train(state, data, interventions.make(recipe))
    return state, data


@pytest.mark.parametrize(
    ("case", "threads"), [*((case, 1) for case in CASES), ("lenet sgd", 2), ("vgg adam", 2)]
)
def test_alone_and_in_company(
    case: str, threads: int, recipe: Callable[..., Recipe], dataset: Dataset
) -> None:
    torch.set_num_threads(threads)
    try:
        made = recipe(**CASES[case])
        seeds = (4, 7, 9)
        together, data = trained(made, seeds, dataset)
        losses, _ = evaluate(together.cohort, data.train_inputs(), data.labels)
        for r, seed in enumerate(seeds):
            alone, own = trained(made, [seed], dataset)
            for name, array in alone.arrays().items():
                np.testing.assert_array_equal(array[0], together.arrays()[name][r], name)
            row_names = [n for n in alone.rows[0] if n != "seconds"]
            for a, b in zip(alone.rows, together.rows[r :: len(seeds)], strict=True):
                np.testing.assert_equal([a[n] for n in row_names], [b[n] for n in row_names])
            loss, _ = evaluate(alone.cohort, own.train_inputs(), own.labels)
            assert torch.equal(loss[0], losses[r])
    finally:
        torch.set_num_threads(1)


def test_stacked_layers_compute_what_the_modules_do(recipe: Callable[..., Recipe]) -> None:
    network = recipe().network
    cohort = Cohort(network, 3, (1, 8, 8), initial_keys([0, 1]))
    images = torch.randn(2, 5, 1, 8, 8)
    logits = cohort(images)
    grads = torch.autograd.grad(logits.square().sum(), cohort.parts[0].leaves)
    for r, module in enumerate(cohort.modules):
        torch.testing.assert_close(logits[r], module(images[r]))
        own = torch.autograd.grad(module(images[r]).square().sum(), list(module.parameters()))
        for ours, theirs in zip(grads, own, strict=True):
            torch.testing.assert_close(ours[r], theirs)


def test_seeds_are_paired_across_widths_and_labels_but_not_with_each_other(
    recipe: Callable[..., Recipe],
) -> None:
    network = recipe().network
    first = Cohort(network, 3, (1, 8, 8), initial_keys([3, 4])).state()
    again = Cohort(network, 3, (1, 8, 8), initial_keys([4])).state()
    for name, array in first.items():
        np.testing.assert_array_equal(array[1], again[name][0])
    assert not np.array_equal(first["weights/fc1.weight"][0], first["weights/fc1.weight"][1])


def test_building_a_cohort_leaves_the_global_stream_alone(recipe: Callable[..., Recipe]) -> None:
    before = torch.random.get_rng_state()
    Cohort(recipe("vgg-digits").network, 3, (1, 8, 8), initial_keys([0]))
    assert torch.equal(before, torch.random.get_rng_state())


def test_state_of_another_network_is_refused(recipe: Callable[..., Recipe]) -> None:
    cohort = Cohort(recipe().network, 3, (1, 8, 8), initial_keys([0]))
    other = Cohort(recipe().network, 4, (1, 8, 8), initial_keys([0]))
    with pytest.raises(ValueError, match=r"fc3.weight should have the shape \(1, 3, 50\)"):
        cohort.load_state(other.state())


@pytest.mark.parametrize(("keep", "names"), [(True, 2), (False, 3)])
def test_prunable_weights(keep: bool, names: int, recipe: Callable[..., Recipe]) -> None:
    network = recipe().network.model_copy(update={"keep_last_layer": keep})
    module = Cohort(network, 3, (1, 8, 8), initial_keys([0])).modules[0]
    assert prunable(module, network) == [f"fc{n}.weight" for n in range(1, names + 1)]
