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
import pandas as pd
import torch

from gst.analysis.statistics import student_interval
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
REFERENCE = "eager"


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
    """Return training by SGD with momentum, and with augmented images if the network convolves."""
    augment = "none" if network.startswith("lenet") else "flip-crop"
    training: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": 64,
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
) -> dict[str, Run]:
    """Train the same replicates in every way that the device offers, `REFERENCE` first."""
    made, short = (recipe(network, precision, epochs) for precision in ("float32", "bf16"))
    found = {REFERENCE: trained(made, seeds, data, device)}
    if capture := graph_capture(device):
        found["captured"] = trained(made, seeds, data, device, capture)
    alone = [trained(made, [seed], data, device) for seed in seeds]
    found["alone"] = Run(*(np.concatenate(parts) for parts in zip(*alone, strict=True)))
    found["bf16"] = trained(short, seeds, data, device)
    return found


def compare(found: dict[str, Run]) -> pd.DataFrame:
    """Compare every way with the reference.

    Returns:
        One row a way: way; seeds; difference, the largest relative one of a loss among the first
        steps; accuracy, the mean over seeds; and change, the mean difference of accuracy from the
        reference over paired seeds, with its 95% interval, low and high.
    """
    reference = found[REFERENCE]
    rows = []
    for way, run in found.items():
        change = student_interval(run.accuracy - reference.accuracy)
        rows.append(
            {
                "way": way,
                "seeds": len(run.accuracy),
                "difference": float(np.abs(run.first / reference.first - 1).max()),
                "accuracy": float(run.accuracy.mean()),
                "change": change.mean,
                "low": change.low,
                "high": change.high,
            }
        )
    return pd.DataFrame(rows)


def bench(
    *, networks: Sequence[str], replicates: int, epochs: int, device: str, threads: int
) -> pd.DataFrame:
    """Print the comparison of each network, and return all of them."""
    torch.set_num_threads(threads)
    data = dataset()
    tables = []
    for network in networks:
        found = compare(ways(network, range(replicates), data, torch.device(device), epochs))
        tables.append(found.assign(network=network))
        print(f"{network}, {epochs} epochs on digits, {device}")
        print(found.to_string(index=False, float_format="{:.2g}".format), flush=True)
    return pd.concat(tables, ignore_index=True)
