from __future__ import annotations

import numpy as np
import pytest

from gst.analysis.prediction import POOLED, TOGETHER
from gst.figures.influence import Subgroups
from gst.figures.prediction import Levels, RegularizationAccounts, StabilityAccounts


def test_accounts_of_the_regularization_study(tables) -> None:
    accounts = tables["regularization"]["accounts"]
    table = RegularizationAccounts.summarise(accounts)
    assert set(table["benchmark"]) == {"toy-lenet", POOLED}
    assert set(table["account"]) == {"size", "length", "stability", "flatness", "loss", TOGETHER}
    assert set(table["n"]) == {3}
    # Levels 2, 4 and 6 of three methods and the dense network, three seeds.
    assert set(table.loc[table["benchmark"] != POOLED, "runs"]) == {30}
    text = RegularizationAccounts.caption(table)
    assert "toy-lenet, no label noise (30 runs of 3 seeds)" in text
    assert "inconclusive" not in text


def test_accounts_of_variants(tables) -> None:
    table = StabilityAccounts.summarise(tables["stability"]["accounts"])
    assert "length" not in set(table["account"])  # all are trained equally long
    alone = table[table["statistic"] == "alone"].set_index("account")["mean"]
    assert alone["stability"] > 0.5


def test_few_seeds_are_said_to_decide_nothing(tables) -> None:
    accounts = tables["regularization"]["accounts"]
    two = RegularizationAccounts.summarise(accounts[accounts["seed"] < 2])
    assert "with so few seeds this is inconclusive" in RegularizationAccounts.caption(two)
    one = RegularizationAccounts.summarise(accounts[accounts["seed"] < 1])
    text = RegularizationAccounts.caption(one)
    assert "(10 runs of 1 seed): too few to predict one seed from others" in text
    assert "nan" not in text
    assert RegularizationAccounts.draw(one).axes


def test_too_few_runs_predict_nothing(tables) -> None:
    accounts = tables["regularization"]["accounts"]
    table = RegularizationAccounts.summarise(accounts[accounts["level"] == 0])
    assert "(3 runs of 0 seeds): too few to predict" in RegularizationAccounts.caption(table)
    assert RegularizationAccounts.draw(table).axes
    with pytest.raises(ValueError, match="so nothing can be predicted"):
        RegularizationAccounts.summarise(accounts[:0])


def test_levels(tables) -> None:
    own = tables["regularization"]
    table = (
        Levels.summarise(own["runs"], own["flatness"])
        .set_index(["measure", "noise", "level"])
        .sort_index()
    )
    steps = table.loc[("stability", 40.0)]
    assert steps.index.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(steps["mean"], 1 - 0.02 * steps.index)
    traces = table.loc[("trace_hutchinson", 0.0)]
    assert traces.index.tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(traces["mean"], 1.1 * 5.0**traces.index)
    assert table.loc[("test_error", 0.0)].index.tolist() == [*range(7)]
    text = Levels.caption(table.reset_index())
    assert "the least stable step leaves 88.0%" in text


def test_levels_without_a_hessian(tables) -> None:
    own = tables["regularization"]
    lost = own["flatness"].assign(trace_hutchinson=np.nan)
    text = Levels.caption(Levels.summarise(own["runs"], lost))
    assert "least stable step" in text
    assert "goes from" not in text


def test_subgroups_of_variants(tables) -> None:
    table = Subgroups.summarise(tables["stability"]["subgroups"])
    assert "none" not in set(table["method"])
    least = table[table["method"] == "l-fast"].set_index("group")["mean"]
    assert least[20] > 0.4
    assert least[1] == pytest.approx(0.0015)
    assert "toy-vgg, l-fast: +0." in Subgroups.caption(table)
