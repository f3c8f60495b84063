from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from gst.artifacts import ArtifactError, write_weights
from gst.data.loaded import Dataset
from gst.data.splits import Split
from gst.measures import activations
from gst.measures.activations import EDGES, distribution, measure_activations
from gst.recipe import Activations, Network, Recipe, Sgd, Training, jsonable
from gst.training.cohort import Cohort, initial_keys

CPU = torch.device("cpu")
SEEDS = (5, 6)
LAYERS = [f"features.conv{n}" for n in range(1, 6)]
RECIPE = Recipe(
    dataset="noise",
    network=Network(name="vgg-digits", width=0.25),
    training=Training(epochs=3, batch_size=8, optimiser=Sgd(kind="sgd", lr=0.1)),
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        images = rng.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
        return Split(images, rng.integers(0, 3, n), "made by the test")

    return Dataset("noise", split(20), split(40), ("a", "b", "c"), (0.4,), (0.3,))


def trained() -> Cohort:
    """Return networks whose every weight and statistic is unlike the initial one."""
    cohort = Cohort(RECIPE.network, 3, (1, 8, 8), [1, 2])
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensors in (cohort.weights, cohort.buffers):
            for tensor in tensors.values():
                if tensor.is_floating_point():
                    tensor += 0.2 + 0.3 * torch.rand(tensor.shape, generator=random)
    return cohort


def write(folder: Path, cohort: Cohort) -> Path:
    path = folder / "weights.safetensors"
    write_weights(path, cohort.state(), {"recipe": jsonable(RECIPE), "seeds": list(SEEDS)})
    return path


def by_inversion(module: Any, images: np.ndarray) -> list[np.ndarray]:
    """Take the normalised activations from the outputs of batch norms in training mode."""
    found = []

    def keep(norm: Any, _: Any, output: torch.Tensor) -> None:
        scale, shift = norm.weight.view(-1, 1, 1), norm.bias.view(-1, 1, 1)
        found.append(((output - shift) / scale).detach().numpy().ravel())

    module.train()
    for number in range(1, 6):
        module.get_submodule(f"features.norm{number}").register_forward_hook(keep)
    module((torch.from_numpy(images) / 255 - 0.4) / 0.3)
    return found


def test_every_replicate_and_layer_before_and_after(tmp_path: Path, dataset: Dataset) -> None:
    arrays, meta = measure_activations(
        write(tmp_path, trained()), dataset, RECIPE, Activations(examples=30), SEEDS, CPU
    )
    assert arrays["seeds"].tolist() == [5, 6]
    np.testing.assert_array_equal(arrays["edges"], EDGES)
    assert (meta["layers"], meta["examples"]) == (LAYERS, 30)
    states = {
        "untrained": Cohort(RECIPE.network, 3, (1, 8, 8), initial_keys(SEEDS)),
        "trained": trained(),
    }
    for state, cohort in states.items():
        assert arrays[state].shape == (2, 5, 100)
        for index, module in enumerate(cohort.modules):
            for layer, sample in enumerate(by_inversion(module, dataset.test.images[:30])):
                place = index, layer
                counts = arrays[state][place] * len(sample) * np.diff(EDGES)
                assert np.abs(counts - np.histogram(sample, EDGES)[0]).sum() <= 4
                assert arrays[f"{state}_mean"][place] == pytest.approx(sample.mean(), abs=1e-5)
                assert arrays[f"{state}_std"][place] == pytest.approx(sample.std(), abs=1e-5)
                exact = kstest(sample.astype(float), "norm").statistic
                assert arrays[f"{state}_ks"][place] == pytest.approx(exact, abs=1e-5)


def test_there_may_be_fewer_images_than_asked_for(tmp_path: Path, dataset: Dataset) -> None:
    weights = write(tmp_path, trained())
    _, meta = measure_activations(weights, dataset, RECIPE, Activations(), SEEDS, CPU)
    assert meta["examples"] == 40


def test_a_diverged_replicate_leaves_the_others(tmp_path: Path, dataset: Dataset) -> None:
    cohort = trained()
    with torch.no_grad():
        cohort.weights["features.conv1.bias"][0, 0] = torch.nan
    arrays, _ = measure_activations(
        write(tmp_path, cohort), dataset, RECIPE, Activations(), SEEDS, CPU
    )
    for name in ("trained", "trained_mean", "trained_std", "trained_ks"):
        assert np.isnan(arrays[name][0]).all()
        assert np.isfinite(arrays[name][1]).all()
    assert np.isfinite(arrays["untrained"]).all()


def test_weights_of_something_else_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    weights = write(tmp_path, trained())
    other = RECIPE.model_copy(update={"dataset": "mnist"})
    with pytest.raises(ArtifactError, match="dataset differ"):
        measure_activations(weights, dataset, other, Activations(), SEEDS, CPU)
    with pytest.raises(ArtifactError, match=r"holds the seeds \[5, 6\], not \[7, 8\]"):
        measure_activations(weights, dataset, RECIPE, Activations(), (7, 8), CPU)
    narrow = Cohort(Network(name="vgg-digits", width=0.125), 3, (1, 8, 8), [1, 2])
    with pytest.raises(ArtifactError, match="not of this network"):
        measure_activations(write(tmp_path, narrow), dataset, RECIPE, Activations(), SEEDS, CPU)


SAMPLES = {
    "normal": torch.randn(5000, generator=torch.Generator().manual_seed(0)),
    "wide": 4 * torch.randn(700, 3, generator=torch.Generator().manual_seed(1)),
    "with ties": torch.randn(2000, generator=torch.Generator().manual_seed(2)).clamp(-0.5, 1),
    "one number": torch.tensor([0.3]),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("part", [2**20, 300])
def test_a_distribution_as_numpy_and_scipy_see_it(
    name: str, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "_PART", part)
    sample = SAMPLES[name].double().numpy().ravel()
    density, mean, std, distance = distribution(SAMPLES[name].clone())
    expected = np.histogram(sample, EDGES)[0] / (len(sample) * np.diff(EDGES))
    np.testing.assert_allclose(density, expected)
    assert (mean, std) == pytest.approx((sample.mean(), sample.std()))
    assert distance == pytest.approx(kstest(sample, "norm").statistic)


def test_zeros_are_half_a_normal_distribution_away() -> None:
    density, mean, std, distance = distribution(torch.zeros(50))
    assert (mean, std, distance) == (0, 0, 0.5)
    assert (density * np.diff(EDGES)).sum() == pytest.approx(1)


def test_what_is_not_finite_has_no_distribution() -> None:
    for value in (torch.nan, torch.inf, -torch.inf):
        density, *numbers = distribution(torch.tensor([0.0, value, 1.0]))
        assert np.isnan([*density, *numbers]).all()
