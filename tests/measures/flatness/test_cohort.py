from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gst import models
from gst.artifacts import ArtifactError, write_weights
from gst.data.loaded import Dataset, LabelDraw
from gst.data.splits import Split
from gst.measures.flatness import measure
from gst.measures.flatness.cohort import measure_cohort
from gst.recipe import Flatness, Network, Recipe, Sgd, Training, WeightPruning, jsonable

CPU = torch.device("cpu")
RECIPE = Recipe(
    dataset="noise",
    network=Network(name="vgg-digits", width=0.1),
    training=Training(epochs=3, batch_size=8, optimiser=Sgd(kind="sgd", lr=0.1)),
)
SETTINGS = Flatness(epoch=3, examples=12, k=4, directions=2, tolerance=0.01, trace_samples=2)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        images = rng.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
        return Split(images, rng.integers(0, 3, n), "made by the test")

    return Dataset("noise", split(20), split(9), ("a", "b", "c"), (0.4,), (0.3,))


@pytest.fixture(scope="module")
def labels(dataset: Dataset) -> LabelDraw:
    drawn = np.random.default_rng(1).integers(0, 3, (2, 20))
    return LabelDraw(drawn, drawn != dataset.train.labels, (5, 6))


def replicates() -> list[torch.nn.Module]:
    return [
        models.build(RECIPE.network, 3, (1, 8, 8), torch.Generator().manual_seed(seed))
        for seed in (5, 6)
    ]


def stacked(mask: np.ndarray) -> dict[str, np.ndarray]:
    modules = replicates()
    arrays = {
        f"{kind}/{name}": np.stack(
            [dict(getattr(m, f"named_{of}")())[name].detach() for m in modules]
        )
        for kind, of in (("weights", "parameters"), ("buffers", "buffers"))
        for name in dict(getattr(modules[0], f"named_{of}")())
    }
    arrays["weights/classifier.weight"] *= mask
    return {**arrays, "masks/classifier.weight": mask.astype(np.uint8)}


@pytest.fixture
def mask() -> np.ndarray:
    shape = (2, *replicates()[0].classifier.weight.shape)
    return np.random.default_rng(2).random(shape) < 0.6


@pytest.fixture
def weights(tmp_path: Path, mask: np.ndarray) -> Path:
    path = tmp_path / "weights.safetensors"
    write_weights(path, stacked(mask), {"recipe": jsonable(RECIPE), "seeds": [5, 6]})
    return path


def test_every_replicate_is_measured_as_if_alone(
    weights: Path, dataset: Dataset, labels: LabelDraw, mask: np.ndarray
) -> None:
    record, spectra = measure_cohort(weights, dataset, labels, RECIPE, SETTINGS, CPU)
    json.dumps(record, allow_nan=False)
    assert record["seeds"] == [5, 6]
    assert record["meta"]["k"] == 4
    for split, images, targets in (
        ("test", dataset.test.images, [dataset.test.labels] * 2),
        ("train", dataset.train.images[:12], labels.labels[:, :12]),
    ):
        inputs = (torch.from_numpy(images) / 255 - 0.4) / 0.3
        assert record["split"][split]["examples"] == [len(images)] * 2
        for index, module in enumerate(replicates()):
            module.classifier.weight.data *= torch.from_numpy(mask[index])
            free = [torch.ones(p.numel()) for p in module.parameters()]
            free[-2] = torch.from_numpy(mask[index].ravel())
            alone = measure(
                module,
                inputs,
                torch.from_numpy(targets[index]),
                mask=torch.cat(free),
                k=4,
                directions=2,
                tolerance=0.01,
                trace_samples=2,
                seed=labels.seeds[index],
            )
            found = {name: column[index] for name, column in record["split"][split].items()}
            assert found == pytest.approx(alone.scalars(), rel=1e-3)
            np.testing.assert_allclose(
                spectra[f"{split}_eigenvalues"][index], alone.eigenvalues, rtol=1e-3
            )
            np.testing.assert_allclose(
                np.sort(spectra[f"{split}_scan"][index][:, [0, -1]]),
                np.sort(alone.scan[:, [0, -1]]),
                rtol=1e-2,
            )
        assert spectra[f"{split}_residuals"].shape == (2, 4)
        assert spectra[f"{split}_scan"].shape == (2, 2, 81)


def test_a_diverged_replicate_leaves_the_others(
    weights: Path, dataset: Dataset, labels: LabelDraw, mask: np.ndarray
) -> None:
    arrays = stacked(mask)
    arrays["weights/classifier.bias"][0] = math.nan
    write_weights(weights, arrays, {"recipe": jsonable(RECIPE), "seeds": [5, 6]})
    record, spectra = measure_cohort(weights, dataset, labels, RECIPE, SETTINGS, CPU)
    assert record["split"]["test"]["trace_top"][0] is None
    assert record["split"]["test"]["trace_top"][1] is not None
    for name in ("eigenvalues", "scan"):
        assert np.isnan(spectra[f"test_{name}"][0]).all()
        assert np.isfinite(spectra[f"test_{name}"][1]).all()


def test_weights_of_something_else_are_refused(
    weights: Path, dataset: Dataset, labels: LabelDraw, mask: np.ndarray
) -> None:
    other = RECIPE.model_copy(update={"dataset": "mnist"})
    with pytest.raises(ArtifactError, match="dataset differ"):
        measure_cohort(weights, dataset, labels, other, SETTINGS, CPU)
    strangers = LabelDraw(labels.labels, labels.noisy, (7, 8))
    with pytest.raises(ArtifactError, match=r"holds the seeds \[5, 6\], not"):
        measure_cohort(weights, dataset, strangers, RECIPE, SETTINGS, CPU)
    arrays = stacked(mask)
    del arrays["weights/classifier.bias"]
    write_weights(weights, arrays, {"recipe": jsonable(RECIPE), "seeds": [5, 6]})
    with pytest.raises(ArtifactError, match="not of this network"):
        measure_cohort(weights, dataset, labels, RECIPE, SETTINGS, CPU)


def test_a_pruned_networks_hessian_is_that_of_the_weights_it_has(
    tmp_path: Path, dataset: Dataset
) -> None:
    """Against all second derivatives, in float64, with respect to the surviving weights alone."""
    network = Network(name="lenet-digits", width=0.05)
    training = RECIPE.training
    recipe = Recipe(
        dataset="noise",
        network=network,
        training=training,
        intervention=WeightPruning(kind="weights", fraction=0.8),
        level=1,
    )
    module = models.build(network, 3, (1, 8, 8), torch.Generator().manual_seed(7))
    rng = np.random.default_rng(3)
    masks = {name: rng.random(p.shape) < 0.2 for name, p in module.named_parameters() if p.ndim > 1}
    for name, mask in masks.items():
        module.get_parameter(name).data *= torch.from_numpy(mask)
    arrays = {f"weights/{name}": p.detach().numpy()[None] for name, p in module.named_parameters()}
    arrays |= {f"masks/{name}": mask[None].astype(np.uint8) for name, mask in masks.items()}
    path = tmp_path / "pruned.safetensors"
    write_weights(path, arrays, {"recipe": jsonable(recipe), "seeds": [7]})
    draw = LabelDraw(dataset.train.labels[None], np.zeros((1, 20), dtype=bool), (7,))
    everything = SETTINGS.model_copy(update={"k": 1000, "examples": 20})
    record, spectra = measure_cohort(path, dataset, draw, recipe, everything, CPU)

    module = module.double()
    inputs = (torch.from_numpy(dataset.train.images).double() / 255 - 0.4) / 0.3
    names = [name for name, _ in module.named_parameters()]
    shapes = [p.shape for p in module.parameters()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        state = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        logits = torch.func.functional_call(module, state, (inputs,))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(dataset.train.labels))

    flat = torch.cat([p.detach().flatten() for p in module.parameters()])
    whole = torch.autograd.functional.hessian(loss, flat)
    alive = np.concatenate(
        [masks.get(name, np.ones(p.shape, bool)).ravel() for name, p in module.named_parameters()]
    )
    exact = whole[alive][:, alive].numpy()
    found = {name: column[0] for name, column in record["split"]["train"].items()}
    values = np.linalg.eigvalsh(exact)
    largest = values[np.argsort(-np.abs(values))][:10]
    np.testing.assert_allclose(spectra["train_eigenvalues"][0][:10], largest, rtol=1e-3)
    assert found["trace_top"] == pytest.approx(np.trace(exact), rel=1e-3)
    assert found["trace_hutchinson"] == pytest.approx(np.trace(exact), rel=1e-3)
    assert np.trace(exact) < 0.9 * np.trace(whole)
