"""Checkpoints: a run can stop between any two steps and go on, to the same result."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from gst.artifacts import ArtifactError, read_weights, write_weights
from gst.training.loop import TrainingState
from gst.training.processes import ALONE, Processes


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
        left_out: Which examples are not trained on, bool [R, N]; a checkpoint of others is not
            used.
        every: Seconds between two checkpoints.
        processes: Those that train together. All pause after the same step, and the first writes.
    """

    def __init__(
        self,
        path: Path,
        code: str,
        left_out: np.ndarray | None = None,
        every: float = 60.0,
        processes: Processes = ALONE,
    ) -> None:
        self.path, self.code, self.every, self.processes = path, code, every, processes
        self.left_out = None if left_out is None else sha256(left_out.tobytes()).hexdigest()
        self.stop = StopRequest()
        self._written = time.monotonic()

    def _key(self, state: TrainingState) -> dict[str, object]:
        return {
            "recipe": state.recipe.canonical(),
            "seeds": list(state.seeds),
            "code": self.code,
            "left_out": self.left_out,
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
        """Write the state, which all processes hold alike."""
        self._written = time.monotonic()
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
        }
        write_weights(self.path, arrays, {"key": self._key(state), "position": position})

    def resume(self, state: TrainingState) -> bool:
        """Take the state of the checkpoint, if there is one that fits.

        A checkpoint of another recipe, other seeds, examples or code, or a damaged one, is left
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
            arrays, meta = read_weights(self.path)
            if meta.get("key") != self._key(state):
                raise ArtifactError(
                    f"{self.path}: of another recipe, other seeds, examples or code"
                )
            position = meta["position"]
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
        print(f"going on from epoch {state.epoch}, step {state.step}", file=sys.stderr)
        return True

    def remove(self) -> None:
        """Delete the file, once the run's results are written."""
        self.path.unlink(missing_ok=True)
