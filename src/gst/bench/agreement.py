"""Whether a run is the same however it is carried out: captured or not, alone or in company, bf16.

Beside each other: networks trained from the same seeds in each way. Their first losses must agree
closely, since they have done the same arithmetic up to rounding; their final accuracies only as
runs that differ by rounding do, since training amplifies it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gst.analysis.statistics import student_interval
from gst.bench.lines import line, title
from gst.bench.machine import describe
from gst.bench.records import Agreement, Measurements, Way, write
from gst.data.loaded import Dataset
from gst.data.prepare import channel_statistics
from gst.data.sources.digits import digits
from gst.recipe import Recipe
from gst.training import interventions
from gst.training.capture import Capture, graph_capture
from gst.training.loop import DeviceData, TrainingState, train

FIRST = 10
"""Steps whose losses are compared."""
NETWORKS = ("lenet-digits", "vgg-digits", "resnet20")
BATCH = 64
"""Images a step and replicate."""
REFERENCE: Way = "eager"


class Run(NamedTuple):
    """What is compared of a cohort."""

    first: np.ndarray
    """Mean loss of each replicate's first batches, [R, FIRST]."""
    accuracy: np.ndarray
    """Final test accuracy of each replicate, [R]."""


def dataset() -> Dataset:
    """Return scikit-learn's digits."""
    raw = digits(Path())
    mean, std = (tuple(each.tolist()) for each in channel_statistics(raw.train.images))
    return Dataset("digits", raw.train, raw.test, raw.classes, mean, std)


def recipe(
    network: str, precision: str, epochs: int, intervention: dict[str, Any] | None = None
) -> Recipe:
    """Return training by SGD with momentum; the VGG's images are augmented."""
    augment = "flip-crop" if network.startswith("vgg") else "none"
    training: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": BATCH,
        "optimiser": {"kind": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        "milestones": [epochs * 2 // 3],
        "augment": augment,
        "precision": precision,
    }
    value = {
        "dataset": "digits",
        "network": {"name": network},
        "training": training,
        "intervention": intervention,
    }
    return Recipe.parse(json.dumps(value))


def trained(
    made: Recipe,
    seeds: Sequence[int],
    data: Dataset,
    device: torch.device,
    capture: Capture | None = None,
) -> Run:
    """Train a cohort, and return what is compared of it."""
    labels = np.stack([data.train.labels] * len(seeds))
    on_device = DeviceData.load(data, labels, made.training, device)
    state = TrainingState(made, seeds, len(data.classes), data.shape, on_device.trained, device)
    first: list[np.ndarray] = []
    examples = FIRST * made.training.batch_size

    def pause(state: TrainingState) -> None:
        if not first and state.step == FIRST:
            losses = state.loss[:, :examples].double().cpu().numpy()
            first.append(losses.reshape(len(seeds), FIRST, -1).mean(axis=2))

    train(state, on_device, interventions.make(made), capture=capture, pause=pause)
    accuracy = [row["test_accuracy"] for row in state.rows[-len(seeds) :]]
    return Run(first[0], np.array(accuracy))


def ways(
    network: str, seeds: Sequence[int], data: Dataset, device: torch.device, epochs: int
) -> dict[Way, Run]:
    """Train the same replicates in every way that the device offers, `REFERENCE` first."""
    made, short = (recipe(network, precision, epochs) for precision in ("float32", "bf16"))
    found: dict[Way, Run] = {REFERENCE: trained(made, seeds, data, device)}
    if capture := graph_capture(device):
        found["captured"] = trained(made, seeds, data, device, capture)
    alone = [trained(made, [seed], data, device) for seed in seeds]
    found["alone"] = Run(*(np.concatenate(parts) for parts in zip(*alone, strict=True)))
    found["bf16"] = trained(short, seeds, data, device)
    return found


def compare(network: str, epochs: int, found: dict[Way, Run]) -> list[Agreement]:
    """Compare every way with the reference.

    Args:
        network: What was trained.
        epochs: For how long.
        found: What `ways` returns.

    Returns:
        One record a way.
    """
    reference = found[REFERENCE]
    records = []
    for way, run in found.items():
        change = student_interval(run.accuracy - reference.accuracy)
        records.append(
            Agreement(
                network=network,
                way=way,
                seeds=len(run.accuracy),
                epochs=epochs,
                difference=float(np.abs(run.first / reference.first - 1).max()),
                accuracy=float(run.accuracy.mean()),
                change=change.mean,
                low=change.low,
                high=change.high,
            )
        )
    return records


def bench(
    device: torch.device,
    networks: Sequence[str],
    replicates: int,
    epochs: int,
    arguments: Sequence[str],
    out: Path | None,
) -> None:
    """Compare the ways for each network, print it, and keep it in a file.

    Args:
        device: What computes, prepared.
        networks: Names of models for images of 8x8 pixels.
        replicates: Number of seeds.
        epochs: Epochs of training.
        arguments: The words after `python -m gst`.
        out: The JSON file; none is written if None.
    """
    machine = describe(device, arguments, BATCH)
    print(title(machine), end="\n\n")
    data, records = dataset(), []
    for network in networks:
        found = compare(network, epochs, ways(network, range(replicates), data, device, epochs))
        print(*map(line, found), sep="\n", flush=True)
        records += found
    if out:
        write(out, Measurements(machine=machine, records=tuple(records)))
