"""The training steps of a run: forward and backward pass, update, and what is noted of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gst.data.device import EpochBatches
from gst.randomness import key
from gst.training.capture import Capture, Replayed
from gst.training.cohort import Part
from gst.training.evaluate import casting, losses
from gst.training.optimisers import learning_rate
from gst.training.processes import Processes

if TYPE_CHECKING:
    from gst.training.loop import Batches, TrainingState


class Steps:
    """Makes training steps, one after the other.

    A step that can be captured reads batches, learning rates and its own number from tensors that
    stay where they are. On a GPU, replicates that do not run as one run beside each other, on
    streams that become branches of the captured step.

    Args:
        state: The run, which is trained in place.
        processes: Those that train together.
        capture: What captures steps to replay them, for batches that lie on the device; None
            carries out each as it comes.
    """

    def __init__(
        self, state: TrainingState, processes: Processes, capture: Capture | None = None
    ) -> None:
        self._state, self._processes = state, processes
        self._replayed = None if capture is None else Replayed(capture)
        device, parts = state.cohort.device, state.cohort.parts
        self._batches: Batches | None = None
        self._factors = torch.empty(0)
        self._number = torch.zeros(1, dtype=torch.int64, device=device)
        self._places = torch.arange(state.recipe.training.batch_size, device=device)
        beside = device.type == "cuda" and len(parts) > 1
        self._streams = [torch.cuda.Stream(device) if beside else None for _ in parts]

    def begin(self, batches: Batches) -> None:
        """Turn to the batches of the state's epoch, of which its next step is the first."""
        state, settings = self._state, self._state.recipe.training
        steps = len(batches)
        rates = [learning_rate(settings, state.epoch, step, steps) for step in range(steps)]
        factors = state.optimiser.factors(rates, before=state.optimiser.steps - state.step)
        if self._replayed and isinstance(self._batches, EpochBatches):
            assert isinstance(batches, EpochBatches)
            self._batches.follow(batches)
            self._factors.copy_(factors)
        else:
            self._batches, self._factors = batches, factors
        self._number.fill_(state.step)

    def make(self, kind: Hashable) -> None:
        """Make the state's next step.

        Args:
            kind: What an intervention does in it that it does not do in every step.
        """
        state = self._state
        batch_size, (_, examples) = state.recipe.training.batch_size, state.loss.shape
        first = state.step * batch_size
        size = min(batch_size, examples - first)
        if state.recipe.network.dropout:
            place = state.recipe.level, state.epoch, state.step
            keys = [key(seed, "dropout", *place) for seed in state.seeds]
            state.cohort.draw_dropout(keys, size)
        if self._replayed:
            self._replayed((size, len(state.masks), kind), partial(self._next, size))
        else:
            assert self._batches is not None
            inputs, labels = self._batches[state.step]
            span = slice(first, first + size)
            self._step(inputs, labels, span, size, self._factors[state.step])
        state.optimiser.steps += 1

    def _next(self, size: int) -> None:
        """Make the step whose number the device holds, of a batch of `size` examples."""
        assert isinstance(self._batches, EpochBatches)
        span = self._number * len(self._places) + self._places[:size]
        inputs, labels = self._batches.at(span)
        factors = self._factors.index_select(0, self._number).squeeze(0)
        self._step(inputs, labels, span, size, factors)
        self._number += 1

    def _step(
        self, inputs: Tensor, labels: Tensor, span: slice | Tensor, size: int, factors: Tensor
    ) -> None:
        state, processes = self._state, self._processes
        found = []
        for part, stream in zip(state.cohort.parts, self._streams, strict=True):
            with _on(stream):
                own = part.replicates
                found.append(self._gradients(part, inputs[own], labels[own], size))
        for stream in self._streams:
            if stream:
                torch.cuda.current_stream().wait_stream(stream)
        loss, correct, grads = zip(*found, strict=True)
        every = [grad for own in grads for grad in own]
        processes.add_up(every)
        state.optimiser.update(every, factors, state.leaf_masks)
        state.loss[:, span] = processes.whole(torch.cat(loss), size)
        state.correct[:, span] = processes.whole(torch.cat(correct), size)

    def _gradients(
        self, part: Part, inputs: Tensor, labels: Tensor, size: int
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return loss and correctness of a part's examples, [R, B], and its leaves' gradients."""
        with casting(inputs.device, self._state.recipe.training.precision):
            logits = part(inputs)
        loss = losses(logits, labels)
        grads = torch.autograd.grad(loss.sum() / size, part.leaves)
        return loss.detach(), logits.detach().argmax(2) == labels, list(grads)


@contextmanager
def _on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Put work on a stream, after what the current one has to do."""
    if stream is None:
        yield
        return
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
