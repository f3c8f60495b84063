"""The gates that close shortcuts, channel by channel, where filters are pruned."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedSum(nn.Module):
    """The sum of a block's branch and its shortcut, which a gate of 0 closes in a channel.

    Where the gate is 1, the sum is the same as without it, to the last bit.

    Args:
        shortcut: What leads past the branch.
        channels: Number of channels of both.

    Attributes:
        gate: 1.0 or 0.0, [channels].
        closed: Whether the gate is other than 1 anywhere; if not, it takes no part.
    """

    gate: Tensor

    def __init__(self, shortcut: nn.Module, channels: int) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.register_buffer("gate", torch.ones(channels))
        self.closed = False
        self.register_load_state_dict_post_hook(lambda module, _: module.look())

    def forward(self, branch: Tensor, x: Tensor) -> Tensor:
        """Map the branch's output and the block's input to the block's output before its ReLU."""
        if not self.closed:
            return branch + self.shortcut(x)
        gate = self.gate.to(branch.dtype).view(-1, 1, 1)
        return torch.addcmul(branch, self.shortcut(x), gate)

    def close(self, alive: Tensor) -> None:
        """Multiply the gate by what is alive, [channels]."""
        self.gate.mul_(alive)
        self.closed = True

    def look(self) -> None:
        """Take note of the gate after it was written from outside."""
        self.closed = bool((self.gate != 1).any())
