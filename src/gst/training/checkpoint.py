"""Checkpoints: a run can stop between any two steps and go on, to the same result."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from gst.artifacts import ArtifactError, read_weights, remove, write_weights
from gst.training.loop import TrainingState
from gst.training.processes import ALONE, Processes
from gst.training.usage import Usage

EVERY = 60.0
"""Seconds between two checkpoints of a run."""


class Interrupted(RuntimeError):
    """A run was asked to stop, and left a checkpoint to go on from."""


class StopRequest:
    """Whether the process was asked to stop (SIGTERM, SIGINT)."""

    def __init__(self) -> None:
        self.signal = 0

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Note the signals that come inside the block, instead of dying from them."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def note(number: int, frame: FrameType | None) -> None:
            self.signal = number

        before = {n: signal.signal(n, note) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Checkpoint:
    """The file that a run can be resumed from.

    Every random stream is keyed by where it is used, so that position, tensors, moments,
    masks and the metrics so far are the whole state.

    Args:
        path: The file.
        code: Fingerprint of the code; a checkpoint of other code is not used.
        inputs: Arrays that the run is made of beside its recipe and seeds, such as images, labels
            and the weights that it starts from, in named groups; a checkpoint of others is not
            used.
        every: Seconds between two checkpoints.
        usage: What the run uses, over all pieces in which it runs.
        processes: Those that train together. All pause after the same step, and the first writes.
    """

    def __init__(
        self,
        path: Path,
        code: str,
        inputs: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        *,
        every: float = EVERY,
        usage: Usage | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.path, self.code, self.every, self.processes = path, code, every, processes
        self.inputs = {name: _digest(arrays) for name, arrays in (inputs or {}).items()}
        self.usage = usage or Usage(processes=processes)
        self.stop = StopRequest()
        self._written = time.monotonic()

    def _key(self, state: TrainingState) -> dict[str, object]:
        return {
            "recipe": state.recipe.canonical(),
            "seeds": list(state.seeds),
            "code": self.code,
            **self.inputs,
        }

    def pause(self, state: TrainingState) -> None:
        """Write a checkpoint if it is time to, or if the process was asked to stop.

        Raises:
            Interrupted: If it was asked to stop.
        """
        due = time.monotonic() - self._written > self.every
        stop, due_anywhere = self.processes.largest(self.stop.signal, int(due))
        if stop:
            self.save(state)
            self.processes.largest(0)  # No process ends before the first has written.
            name = signal.Signals(stop).name
            raise Interrupted(
                f"stopped by {name} in epoch {state.epoch} after step {state.step}; "
                f"{self.path} holds the state, run the job again to go on"
            )
        if due_anywhere:
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Write the state, which all processes hold alike.

        Raises:
            OSError: If the disk is full; the checkpoint before this one stays.
        """
        self._written = time.monotonic()
        used = self.usage.so_far()
        if self.processes.rank:
            return
        arrays = state.arrays()
        if state.epoch < state.recipe.training.epochs:  # No step follows the last.
            for slot, stacks in state.moments.items():
                for name, stack in stacks.items():
                    arrays[f"moments/{slot}/{name}"] = stack.cpu().numpy()
        arrays |= {f"memory/{name}": kept.cpu().numpy() for name, kept in state.memory.items()}
        arrays["epoch/loss"] = state.loss.cpu().numpy()
        arrays["epoch/correct"] = state.correct.cpu().numpy()
        for epoch, kept in state.snapshots.items():
            arrays |= {f"snapshot/{epoch}/{name}": array for name, array in kept.items()}
        position = {
            "epoch": state.epoch,
            "step": state.step,
            "steps": state.optimiser.steps,
            "rows": state.rows,
            "used": used,
        }
        meta = {
            "key": self._key(state),
            "position": position,
            "checksum": _digest(arrays, position),
        }
        write_weights(self.path, arrays, meta)

    def resume(self, state: TrainingState) -> bool:
        """Take the state of the checkpoint, if there is one that fits.

        A checkpoint of another recipe, other seeds, code or inputs, or a damaged one, is left
        unused with a message.

        Returns:
            Whether the state was taken.

        Raises:
            ArtifactError: If the processes that train together found different checkpoints.
        """
        taken = self._resume(state)
        place = (int(taken), state.epoch, state.step)
        if self.processes.largest(*place, *(-n for n in place)) != [*place, *(-n for n in place)]:
            raise ArtifactError(
                f"{self.path}: not all processes found the same checkpoint; it must lie on a disk "
                "that all of them share, see `results` of the study"
            )
        return taken

    @torch.no_grad()
    def _resume(self, state: TrainingState) -> bool:
        if not self.path.exists():
            return False
        try:
            arrays, position = self._read(self._key(state))
        except ArtifactError as error:
            print(f"starting afresh, checkpoint not used: {error}", file=sys.stderr)
            return False
        groups: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            group, rest = name.split("/", 1)
            groups.setdefault(group, {})[rest] = array
        state.load_arrays(arrays)
        for place, array in groups.get("moments", {}).items():
            slot, name = place.split("/", 1)
            state.moments[slot][name].copy_(torch.from_numpy(array))
        state.loss.copy_(torch.from_numpy(groups["epoch"]["loss"]))
        state.correct.copy_(torch.from_numpy(groups["epoch"]["correct"]))
        state.memory = {
            name: torch.from_numpy(array).to(state.cohort.device)
            for name, array in groups.get("memory", {}).items()
        }
        for name, array in groups.get("snapshot", {}).items():
            epoch, rest = name.split("/", 1)
            state.snapshots.setdefault(int(epoch), {})[rest] = array
        state.epoch, state.step = position["epoch"], position["step"]
        state.optimiser.steps, state.rows = position["steps"], position["rows"]
        self.usage.go_on_from(position["used"])
        print(f"going on from epoch {state.epoch}, step {state.step}", file=sys.stderr)
        return True

    def _read(self, key: dict[str, object]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the position of the file, which must be whole and have this key."""
        arrays, meta = read_weights(self.path)
        found, position = meta.get("key", {}), meta.get("position", {})
        if found != key:
            other = [name for name in {**found, **key} if found.get(name) != key.get(name)]
            raise ArtifactError(f"{self.path}: of another run, {', '.join(other)} differ")
        if meta.get("checksum") != _digest(arrays, position):
            raise ArtifactError(f"{self.path}: damaged, its checksum does not fit its content")
        return arrays, position

    def remove(self) -> None:
        """Delete the file, once the run's results are written."""
        remove(self.path)


def _digest(arrays: Mapping[str, np.ndarray], position: object = None) -> str:
    """Return a checksum of named arrays, and of plain values."""
    digest = sha256(json.dumps(position, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.data)
    return digest.hexdigest()
