"""Scores of filters against sums by hand, integrals and samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from torch import Tensor

from gst import registry
from gst.pruning.filter_scores import Filters

PACKAGE = "gst.pruning.filter_scores"
NAMES = sorted(registry.entries(PACKAGE))


def made(
    scale: list[float] | Tensor, shift: list[float] | Tensor, weights: Tensor | None = None
) -> Filters:
    """Return the filters of one replicate, or of as many as the tensors have."""
    scale, shift = (torch.as_tensor(x, dtype=torch.float64) for x in (scale, shift))
    if scale.dim() == 1:
        scale, shift = scale[None], shift[None]
    if weights is None:
        weights = torch.ones(*scale.shape, 1)
    return Filters(weights, scale, shift)


def score(name: str, filters: Filters) -> Tensor:
    return registry.load(PACKAGE, name)(filters)


@pytest.mark.parametrize(("name", "expected"), [("l1", [7.0, 2.0]), ("l2", [5.0, 2**0.5])])
def test_norms_by_hand(name: str, expected: list[float]) -> None:
    weights = torch.tensor([[[[3.0, -4.0]], [[1.0, 1.0]]]])
    found = score(name, made([1, 1], [0, 0], weights))
    torch.testing.assert_close(found, torch.tensor([expected]))


def test_activations_are_those_that_were_observed() -> None:
    seen = torch.tensor([[3.0, 1.0]])
    ones = torch.ones(1, 2)
    assert score("activations", Filters(ones, ones, ones, seen)) is seen
    with pytest.raises(ValueError, match="needs a network that has trained"):
        score("activations", Filters(ones, ones, ones))


def rectified(shift: float, scale: float, sign: int) -> float:
    """Integrate the positive (sign 1) or negative (sign -1) part of N(shift, scale^2)."""

    def term(z: float) -> float:
        value = shift + abs(scale) * z
        return sign * max(sign * value, 0.0) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    kink = -shift / abs(scale)
    points = [kink] if abs(kink) < 12 else None
    return integrate.quad(term, -12, 12, points=points, epsabs=1e-13, epsrel=1e-12)[0]


SHIFTS = st.floats(-4, 4, allow_nan=False)
SCALES = st.floats(0.05, 3, allow_nan=False)


@given(SHIFTS, SCALES, st.sampled_from([1, -1]))
def test_expected_batch_norm_is_the_integral(shift: float, scale: float, sign: int) -> None:
    found = score("ebn", made([sign * scale], [shift])).item()
    assert found == pytest.approx(rectified(shift, scale, 1), abs=1e-10, rel=1e-9)
    found = score("ebn_alt", made([sign * scale], [shift])).item()
    assert found == pytest.approx(rectified(shift, scale, sign), abs=1e-10, rel=1e-9)


def test_expected_batch_norm_is_the_mean_of_samples() -> None:
    scale, shift = [1.0, 0.5, -2.0, 0.1], [0.3, -1.0, 0.7, 2.0]
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((1_000_000, 4)) * np.array(scale) + np.array(shift)
    values = np.maximum(draws, 0)
    error = values.std(0) / 1000
    found = score("ebn", made(scale, shift))[0].numpy()
    assert (np.abs(found - values.mean(0)) < 4 * error).all()


@pytest.mark.parametrize("name", ["ebn", "ebn_alt"])
def test_expected_batch_norm_at_its_edges(name: str) -> None:
    """A channel without variance is its shift, rectified; a pruned one is 0."""
    found = score(name, made([0.0, 0.0, 0.0, 1e-30], [0.0, 2.0, -2.0, 1.0]))
    assert found.tolist() == [[0.0, 2.0, 0.0, 1.0]]


@pytest.mark.parametrize("name", NAMES)
def test_replicates_do_not_see_each_other(name: str) -> None:
    torch.manual_seed(0)
    parts = [torch.randn(3, 37, *shape) for shape in ((5, 3, 3), (), ())]
    filters = Filters(*parts, torch.rand(3, 37))
    together = score(name, filters)
    assert together.shape == (3, 37)
    for r in range(3):
        alone = Filters(*(getattr(filters, n)[r : r + 1] for n in filters.__annotations__))
        assert torch.equal(score(name, alone)[0], together[r])


def test_only_the_scores_that_need_activations_watch() -> None:
    facts = {name: entry.facts for name, entry in registry.entries(PACKAGE).items()}
    assert {name for name, fact in facts.items() if fact["watches"]} == {"activations"}
    assert set(facts) == {"l1", "l2", "activations", "ebn", "ebn_alt"}
