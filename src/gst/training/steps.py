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
        size = state.recipe.training.batch_size
        self._first = torch.tensor([0, *range(size)], device=device)
        self._ahead = torch.tensor([1, *[size] * size], device=device)
        self._now = self._first.clone()  # The step's number, and the places of its examples.
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
        torch.add(self._first, self._ahead, alpha=state.step, out=self._now)

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
        number, span = self._now[:1], self._now[1 : size + 1]
        inputs, labels = self._batches.at(span)
        factors = self._factors.index_select(0, number).squeeze(0)
        self._step(inputs, labels, span, size, factors)
        self._now += self._ahead

    def _step(
        self, inputs: Tensor, labels: Tensor, span: slice | Tensor, size: int, factors: Tensor
    ) -> None:
        for number, part in enumerate(self._state.cohort.parts):
            with _on(self._streams[number]):
                own = part.replicates
                self._train(number, inputs[own], labels[own], span, size, factors)
        for stream in self._streams:
            if stream:
                torch.cuda.current_stream().wait_stream(stream)

    def _train(
        self,
        number: int,
        inputs: Tensor,
        labels: Tensor,
        span: slice | Tensor,
        size: int,
        factors: Tensor,
    ) -> None:
        """Train a part of the cohort, by its number, on its own inputs and labels."""
        state, processes = self._state, self._processes
        part = state.cohort.parts[number]
        with casting(inputs.device, state.recipe.training.precision):
            logits = part(inputs)
        loss = losses(logits, labels)
        mean = torch.full_like(loss, 1 / size)
        grads = list(torch.autograd.grad(loss, part.leaves, mean))
        processes.add_up(grads)
        state.optimiser.update(number, grads, factors, state.leaf_masks[number])
        correct = logits.detach().argmax(2) == labels
        state.loss[part.replicates][:, span] = processes.whole(loss.detach(), size)
        state.correct[part.replicates][:, span] = processes.whole(correct, size)


@contextmanager
def _on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Put work on a stream, after what the current one has to do."""
    if stream is None:
        yield
        return
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
