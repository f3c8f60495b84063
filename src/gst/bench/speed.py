"""How fast this machine trains: the engine beside a plain loop and beside its own ceiling.

Every ratio compares numbers taken in one run, since machines are noisy.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

import numpy as np
import torch
from torch import nn

from gst import models
from gst.data.loaded import Dataset
from gst.data.splits import Split
from gst.recipe import Network, Recipe
from gst.training import interventions
from gst.training.loop import DeviceData, TrainingState, train

BATCH = 128
EXAMPLES = 40 * BATCH
SHAPES = {"lenet": (1, 28, 28), "lenet-digits": (1, 8, 8), "vgg-digits": (1, 8, 8)}
START = """
import time
from gst.bench.speed import synthetic, trainer
trainer("lenet", 1, synthetic((1, 28, 28), 128), epochs=1)()
print(time.time())
"""


def synthetic(shape: tuple[int, int, int], examples: int = EXAMPLES) -> Dataset:
    """Return random images of ten classes, with a test set of one batch."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        return Split(images, rng.integers(0, 10, n), "random")

    half = (0.5,) * shape[0]
    return Dataset("random", split(examples), split(BATCH), tuple("abcdefghij"), half, half)


def trainer(
    network: str, replicates: int, dataset: Dataset, epochs: int, device: str = "cpu"
) -> Callable[[], list[float]]:
    """Return what trains a cohort with plain SGD, and returns the seconds of each epoch."""
    recipe = Recipe.parse(
        json.dumps(
            {
                "dataset": "random",
                "network": {"name": network},
                "training": {
                    "epochs": epochs,
                    "batch_size": BATCH,
                    "optimiser": {"kind": "sgd", "lr": 0.01},
                },
            }
        )
    )
    seeds, where = range(replicates), torch.device(device)
    labels = np.stack([dataset.train.labels] * replicates)
    data = DeviceData.load(dataset, labels, recipe.training, where)
    state = TrainingState(recipe, seeds, 10, dataset.shape, len(data.images), where)

    def run() -> list[float]:
        train(state, data, interventions.make(recipe))
        return [row["seconds"] for row in state.rows[replicates::replicates]]

    return run


def steps_a_second(network: str, replicates: int, dataset: Dataset, device: str = "cpu") -> float:
    """Return the engine's steps a second, one step being a batch of every replicate.

    The first epoch warms up; the median of the others counts.
    """
    seconds = trainer(network, replicates, dataset, epochs=6, device=device)()
    return len(dataset.train) / BATCH / median(seconds[1:])


def plain_steps_a_second(network: str, dataset: Dataset, workers: Sequence[int]) -> float:
    """Return the steps a second of the usual loop, at its best number of workers.

    Images pass one by one through torchvision's transforms in a DataLoader, as torchvision's
    own MNIST and CIFAR classes give them; torch.optim's SGD makes the steps.
    """
    from PIL import Image
    from torch.utils.data import DataLoader
    from torch.utils.data import Dataset as TorchDataset
    from torchvision import transforms

    half = (0.5,) * dataset.shape[0]
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(half, half)])
    pixels = dataset.train.images.transpose(0, 2, 3, 1)

    class Images(TorchDataset[tuple[torch.Tensor, int]]):
        def __len__(self) -> int:
            return len(pixels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            picture = pixels[index]
            image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
            return transform(image), int(dataset.train.labels[index])

    best = 0.0
    for number in workers:
        module = _module(network, dataset.shape)
        optimiser = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
        loader = DataLoader(
            Images(), BATCH, shuffle=True, num_workers=number, persistent_workers=number > 0
        )
        seconds = []
        for _ in range(4):
            started = time.perf_counter()
            for images, labels in loader:
                optimiser.zero_grad()
                nn.functional.cross_entropy(module(images), labels).backward()
                optimiser.step()
            seconds.append(time.perf_counter() - started)
        best = max(best, len(loader) / median(seconds[1:]))
    return best


def products_a_second(network: str, shape: tuple[int, int, int]) -> float:
    """Return how often a second the matrix products of one step alone can be done.

    Only for networks of dense layers: forward, gradient of the weights, and gradient of the
    inputs of all layers but the first.
    """
    layers = [m for m in _module(network, shape).modules() if isinstance(m, nn.Linear)]
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
    inputs = [torch.randn(BATCH, size) for size in sizes[:-1]]
    grads = [torch.randn(BATCH, size) for size in sizes[1:]]
    weights = [torch.randn(after, before) for before, after in pairwise(sizes)]

    def step() -> None:
        for number, (x, grad, weight) in enumerate(zip(inputs, grads, weights, strict=True)):
            torch.mm(x, weight.t())
            torch.mm(grad.t(), x)
            if number:
                torch.mm(grad, weight)

    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        for _ in range(40):
            step()
        seconds.append(time.perf_counter() - started)
    return 40 / median(seconds[1:])


def separate_seconds(network: str, replicates: int, epochs: int, processes: int) -> float:
    """Return the seconds that the replicates take in processes of one thread each."""
    context = multiprocessing.get_context("spawn")
    started = time.perf_counter()
    with context.Pool(processes, maxtasksperchild=1) as pool:
        pool.starmap(_alone, [(network, epochs)] * replicates, chunksize=1)
    return time.perf_counter() - started


def _alone(network: str, epochs: int) -> None:
    torch.set_num_threads(1)
    trainer(network, 1, synthetic(_shape(network)), epochs)()


def start_seconds() -> float:
    """Return the seconds from the start of a process to the end of its first step."""
    started = time.time()
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, check=True, text=True)
    return float(done.stdout.split()[-1]) - started


def _shape(network: str) -> tuple[int, int, int]:
    return SHAPES.get(network, (3, 32, 32))


def _module(network: str, shape: tuple[int, int, int]) -> nn.Module:
    return models.build(Network(name=network), 10, shape, torch.Generator().manual_seed(0))


def bench(threads: int, networks: Sequence[str], replicates: Sequence[int], device: str) -> None:
    """Print the tables."""
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {device}, {threads} threads, batch {BATCH}, float32\n")
    print(f"{'network':14} {'replicates':>10} {'steps/s':>9} {'images/s':>10} {'gain':>6}")
    single: dict[str, float] = {}
    for network in networks:
        dataset = synthetic(_shape(network))
        for number in replicates:
            rate = steps_a_second(network, number, dataset, device)
            single.setdefault(network, rate)
            gain = number * rate / single[network]
            print(f"{network:14} {number:10} {rate:9.1f} {number * rate * BATCH:10.0f} {gain:6.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MB; start to first step {start_seconds():.1f} s")
    if "lenet" in single and device == "cpu":
        dataset = synthetic(SHAPES["lenet"])
        plain = plain_steps_a_second("lenet", dataset, range(threads + 1))
        ours = steps_a_second("lenet", 1, dataset)
        ceiling = products_a_second("lenet", SHAPES["lenet"])
        print(
            f"lenet: {ours:.0f} steps/s, {ours / plain:.1f} times the plain loop's {plain:.0f}, "
            f"{ours / ceiling:.0%} of the {ceiling:.0f} that its matrix products allow"
        )
    for network in [name for name in ("lenet-digits", "lenet") if name in single]:
        if device == "cpu":
            epochs, number = 20, 8
            alone = separate_seconds(network, number, epochs, processes=threads)
            run = trainer(network, number, synthetic(_shape(network)), epochs)
            together = start_seconds() + sum(run())
            print(
                f"{network}: {number} runs of {epochs} epochs take {together:.1f} s as one cohort, "
                f"{alone:.1f} s as {number} processes, {threads} at a time"
            )
