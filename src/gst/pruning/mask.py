"""Masks: which weights are alive, for every replicate of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

from gst.recipe import exact

Masks = dict[str, Tensor]
"""For each masked parameter a bool tensor [R, ...], True where the weight is alive."""


def share(count: int, fraction: float) -> int:
    """Return the whole number nearest to a fraction of a count (half goes to even).

    The fraction is taken as the decimal that was written, so nothing is off by one for the
    binary rounding of .2 or .7.
    """
    return round(Fraction(count) * exact(fraction))


def count(masks: Mapping[str, Tensor]) -> list[int]:
    """Return the number of weights alive in each replicate."""
    alive = torch.stack([mask.flatten(1).sum(1) for mask in masks.values()])
    return alive.sum(0).tolist()


def lowest(scores: Tensor, alive: Tensor, number: int) -> Tensor:
    """Choose exactly `number` of the living entries of each row, those of lowest score.

    Ties go by position, the first ones first, so the choice is the same on every device.

    Args:
        scores: Scores [R, n]; NaN counts as the highest.
        alive: Which entries may be chosen, bool [R, n].
        number: How many to choose in each row.

    Returns:
        The chosen entries, bool [R, n].

    Raises:
        ValueError: If a row has fewer living entries than that.
    """
    fewest = int(alive.sum(1).min())
    if not 0 <= number <= fewest:
        raise ValueError(f"cannot choose {number} of {fewest} living entries")
    chosen = torch.zeros_like(alive)
    for row, entries, choice in zip(scores, alive, chosen, strict=True):
        living = entries.nonzero().squeeze(1)
        order = torch.sort(row[living], stable=True).indices
        choice[living[order[:number]]] = True
    return chosen


def remove_lowest(scores: Mapping[str, Tensor], masks: Masks, number: int) -> Masks:
    """Remove the weights of lowest scores over all layers together.

    Args:
        scores: For each masked parameter its weights' scores, [R, ...].
        masks: Masks before, of the same shapes.
        number: How many living weights to remove in each replicate.

    Returns:
        Masks after; nested in those before.
    """
    alive = torch.cat([mask.flatten(1) for mask in masks.values()], dim=1)
    flat = torch.cat([scores[name].flatten(1) for name in masks], dim=1)
    left = alive & ~lowest(flat, alive, number)
    sizes = [mask[0].numel() for mask in masks.values()]
    return {
        name: part.reshape(masks[name].shape)
        for name, part in zip(masks, left.split(sizes, dim=1), strict=True)
    }


def prune_globally(
    scores: Mapping[str, Tensor], masks: Masks, fraction: float, times: int = 1
) -> Masks:
    """Remove a fraction of the living weights, the lowest scores over all layers together.

    Every replicate loses exactly `share(alive, fraction)` of its weights; or at once the number
    that it would lose if that was done some times over, one after the other.

    Args:
        scores: For each masked parameter its weights' scores, [R, ...].
        masks: Masks before, of the same shapes.
        fraction: Share of the living weights to remove.
        times: How many removals are done at once.

    Returns:
        Masks after; nested in those before.

    Raises:
        ValueError: If the replicates do not all have as many living weights.
    """
    counts = count(masks)
    if len(set(counts)) != 1:
        raise ValueError(f"the replicates have different numbers of living weights: {counts}")
    left = counts[0]
    for _ in range(times):
        left -= share(left, fraction)
    return remove_lowest(scores, masks, counts[0] - left)


def prune_layerwise(
    scores: Mapping[str, Tensor], masks: Masks, fraction: float, times: int = 1
) -> Masks:
    """Do the same in each layer by itself, so that each loses the fraction of its own weights."""
    found: Masks = {}
    for name, mask in masks.items():
        found |= prune_globally(scores, {name: mask}, fraction, times)
    return found
