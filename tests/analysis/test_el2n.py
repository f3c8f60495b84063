"""How stable rankings by EL2N are: made-up scores of known reliability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from gst.analysis.el2n import COLUMNS, el2n_table, stepped_up
from gst.layout import Cohort, RunPath

EXAMPLES = 4000


def dense(percent: str, cohort: Cohort) -> RunPath:
    return RunPath("regularization", "toy", percent, "dense", 0, cohort)


@given(st.floats(0.01, 0.99), st.integers(1, 20))
def test_stepping_up_is_the_reliability_of_a_mean(variance: float, factor: int) -> None:
    """Of means x = t + e, with t of variance v and e of 1 - v, r = v; f of them have e / f."""
    expected = variance / (variance + (1 - variance) / factor)
    assert stepped_up(variance, factor) == pytest.approx(expected)


def test_a_correlation_too_negative_to_step_up() -> None:
    assert np.isnan(stepped_up(-1.0, 2))


def test_the_table(writer) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=EXAMPLES)
    noise = rng.normal(size=(2, 3, 10, EXAMPLES))
    clean, wrong = truth + noise
    writer.scores("toy", "0", clean)
    writer.scores("toy", "40", wrong)
    cohort = Cohort(0, 2)
    table = el2n_table(writer.results, [dense("40", cohort), dense("0", cohort)])
    assert tuple(table) == COLUMNS
    assert table["seed"].tolist() == [0, 1, 2] * 2
    assert set(table["networks"]) == {10}
    # The mean standard deviation of 10 normal numbers of variance 1.
    np.testing.assert_allclose(table["spread"], 0.9727, atol=0.012)
    # Means of 5 networks have reliability 1 / (1 + 1/5), those of 10 have 1 / (1 + 1/10); ranks of
    # normal variables correlate slightly less.
    np.testing.assert_allclose(table["spearman_halves"], 5 / 6, atol=0.03)
    np.testing.assert_allclose(table["reliability"], 10 / 11, atol=0.03)
    for noisy, own in table.groupby("noise"):
        if noisy:
            assert own["spearman_seeds"].isna().all()
            continue
        means = clean.astype(np.float32).mean(axis=1, dtype=np.float64)
        pairs = {
            (a, b): spearmanr(means[a], means[b]).statistic for a in range(3) for b in range(3)
        }
        expected = [
            (pairs[a, b] + pairs[a, c]) / 2 for a, b, c in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
        ]
        np.testing.assert_allclose(own["spearman_seeds"], expected)


def test_seeds_of_several_cohorts_are_compared(writer) -> None:
    scores = np.random.default_rng(0).random((1, 4, 50))
    writer.scores("toy", "0", scores)
    folder = writer.results / "el2n/toy/noise-0"
    (folder / "seeds-1-1.npz").write_bytes((folder / "seeds-0-0.npz").read_bytes())
    table = el2n_table(writer.results, [dense("0", Cohort(s, s)) for s in (0, 1)])
    np.testing.assert_allclose(table["spearman_seeds"], 1)
    alone = el2n_table(writer.results, [dense("0", Cohort(0, 0))])
    assert alone["spearman_seeds"].isna().all()


def test_without_scores_there_are_no_rows(writer) -> None:
    table = el2n_table(writer.results, [])
    assert table.empty
    assert tuple(table) == COLUMNS
