"""Makes a data set ready to train on."""

from __future__ import annotations

import numpy as np
import torch

from gst.artifacts import ArtifactError
from gst.data.device import Normalise, to_device
from gst.data.loaded import Dataset
from gst.recipe import Training
from gst.training.loop import Data, DeviceData, kept_examples, selecting
from gst.training.processes import ALONE, Processes


def load_data(
    dataset: Dataset,
    labels: np.ndarray,
    training: Training,
    device: torch.device,
    processes: Processes = ALONE,
    left_out: np.ndarray | None = None,
    workers: int | None = None,
) -> Data:
    """Make a data set ready to train on: on the device, or streamed if it is an index.

    Args:
        dataset: The data set.
        labels: Labels to train on, [R, N].
        training: Says how images become inputs.
        device: Where to train.
        processes: This process's place among those that train.
        left_out: Which examples are not trained on, bool [R, N], equally many a replicate.
        workers: Processes that decode; by the cores if None.

    Raises:
        ArtifactError: If several processes are to train on images in memory.
    """
    if dataset.stream is None:
        if processes.size > 1:
            raise ArtifactError(f"{dataset.name}: only streamed data are trained on in processes")
        return DeviceData.load(dataset, labels, training, device, left_out)
    from gst.data.streamed import Decoded  # With torchvision, which takes a second to import.
    from gst.training.streaming import StreamedData, decoding_workers

    return StreamedData(
        Decoded(dataset.stream, dataset.train.images),
        Decoded(dataset.stream, dataset.test.images),
        to_device(labels, device),
        to_device(dataset.test.labels, device),
        to_device(selecting(len(dataset.test)), device),
        Normalise.of(dataset, training, device),
        decoding_workers(processes) if workers is None else workers,
        processes,
        None if left_out is None else torch.from_numpy(kept_examples(left_out)),
    )
