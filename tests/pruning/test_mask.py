"""The algebra of masks."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gst.pruning.mask import count, lowest, prune_globally, prune_layerwise, share

unhurried = settings(deadline=None)
FRACTIONS = st.integers(1, 99).map(lambda n: n / 100)
SHAPES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=3)


@given(st.integers(0, 10**6), FRACTIONS)
def test_share_is_the_decimal_product_rounded_half_to_even(total: int, fraction: float) -> None:
    expected = (Decimal(total) * Decimal(str(fraction))).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert share(total, fraction) == expected


@st.composite
def scored(draw: st.DrawFn) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Draw scores of few distinct values, so that ties are common, and full masks."""
    replicates = draw(st.integers(1, 3))
    scores, masks = {}, {}
    for number, shape in enumerate(draw(SHAPES)):
        size = replicates * shape[0] * shape[1]
        values = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
        scores[f"w{number}"] = torch.tensor(values, dtype=torch.float32).view(replicates, *shape)
        masks[f"w{number}"] = torch.ones(replicates, *shape, dtype=torch.bool)
    return scores, masks


@unhurried
@given(scored(), st.lists(FRACTIONS, min_size=1, max_size=4))
def test_exact_nested_and_lowest(
    drawn: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]], fractions: list[float]
) -> None:
    scores, masks = drawn
    for fraction in fractions:
        alive = count(masks)
        after = prune_globally(scores, masks, fraction)
        assert count(after) == [n - share(n, fraction) for n in alive]
        for r in range(len(alive)):
            kept = torch.cat([scores[n][r][after[n][r]] for n in scores])
            gone = torch.cat([scores[n][r][masks[n][r] & ~after[n][r]] for n in scores])
            if len(kept) and len(gone):
                assert gone.max() <= kept.min()
        for name in masks:
            assert not (after[name] & ~masks[name]).any()
        masks = after


@unhurried
@given(scored(), FRACTIONS)
def test_replicates_do_not_see_each_other(
    drawn: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]], fraction: float
) -> None:
    scores, masks = drawn
    together = prune_globally(scores, masks, fraction)
    for r in range(len(next(iter(scores.values())))):
        alone = prune_globally(
            {n: s[r : r + 1] for n, s in scores.items()},
            {n: m[r : r + 1] for n, m in masks.items()},
            fraction,
        )
        assert all(torch.equal(alone[n][0], together[n][r]) for n in scores)


@unhurried
@given(scored())
def test_removing_none_changes_nothing(
    drawn: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]],
) -> None:
    scores, _ = drawn
    flat = torch.cat([s.flatten(1) for s in scores.values()], 1)
    assert not lowest(flat, torch.ones_like(flat, dtype=torch.bool), 0).any()


def test_ties_go_by_position() -> None:
    chosen = lowest(torch.tensor([[2.0, 1, 1, 1, 0]]), torch.tensor([[True] * 5]), 3)
    assert chosen.tolist() == [[False, True, True, False, True]]


def test_dead_entries_are_never_chosen_even_with_the_lowest_score() -> None:
    alive = torch.tensor([[False, True, True]])
    assert lowest(torch.tensor([[0.0, 2, 1]]), alive, 1).tolist() == [[False, False, True]]


def test_nan_is_pruned_last() -> None:
    scores = torch.tensor([[float("nan"), 5.0, 1.0]])
    assert lowest(scores, torch.ones(1, 3, dtype=torch.bool), 2).tolist() == [[False, True, True]]


@pytest.mark.parametrize("number", [-1, 3])
def test_an_impossible_number_is_refused(number: int) -> None:
    alive = torch.tensor([[True, True, True], [True, False, True]])
    with pytest.raises(ValueError, match=f"cannot choose {number} of 2 living entries"):
        lowest(torch.zeros(2, 3), alive, number)


def test_unequal_replicates_are_refused() -> None:
    masks = {"w": torch.tensor([[True, True], [True, False]])}
    with pytest.raises(ValueError, match=r"different numbers of living weights: \[2, 1\]"):
        prune_globally({"w": torch.zeros(2, 2)}, masks, 0.5)


@unhurried
@given(scored(), FRACTIONS, st.integers(1, 5))
def test_at_once_as_many_go_as_one_after_the_other(
    drawn: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]], fraction: float, times: int
) -> None:
    scores, masks = drawn
    for prune in (prune_globally, prune_layerwise):
        after = masks
        for _ in range(times):
            after = prune(scores, after, fraction)
        once = prune(scores, masks, fraction, times)
        assert all(torch.equal(once[name], after[name]) for name in masks)


@unhurried
@given(scored(), FRACTIONS)
def test_layers_do_not_see_each_other(
    drawn: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]], fraction: float
) -> None:
    scores, masks = drawn
    together = prune_layerwise(scores, masks, fraction)
    assert list(together) == list(masks)
    for name in masks:
        alone = prune_globally({name: scores[name]}, {name: masks[name]}, fraction)
        assert torch.equal(together[name], alone[name])
