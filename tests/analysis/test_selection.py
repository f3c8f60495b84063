"""Which level each protocol chooses, on tables with a known answer."""

from __future__ import annotations

import math
from itertools import permutations

import pandas as pd
import pytest

from gst.analysis.selection import selected

DENSE = [0.30, 0.32, 0.34]


def rows(method: str, level: int, test, selection=None, report=None, **given) -> list[dict]:
    return [
        {
            "study": "regularization",
            "benchmark": "toy",
            "noise": 40.0,
            "method": method,
            "level": level,
            "seed": seed,
            "weights_remaining": 0.5**level,
            "epochs_spent": 10 * (level + 1),
            "test_error": error,
            "selection_error": error if selection is None else selection[seed],
            "report_error": error if report is None else report[seed],
            "train_loss": 0.1,
            "loss_original": 0.2 * level,
            "loss_noisy": 1.0 * level,
        }
        | given
        for seed, error in enumerate(test)
    ]


def level_of(table: pd.DataFrame, which: str, protocol: str = "published", method: str = "pruned"):
    own = table[
        (table["which"] == which) & (table["protocol"] == protocol) & (table["method"] == method)
    ]
    return own["level"].unique().tolist()


def test_both_protocols() -> None:
    runs = pd.DataFrame(
        rows("dense", 0, DENSE)
        + rows("pruned", 1, [0.2, 0.2, 0.2], selection=[0.25] * 3, report=[0.15] * 3)
        + rows("pruned", 2, [0.21, 0.22, 0.2], selection=[0.19] * 3, report=[0.23, 0.24, 0.25])
        + rows("pruned", 3, [0.31, 0.31, 0.31])
        + rows("pruned", 4, [0.5, 0.5, 0.1], selection=[0.1, 0.1, 0.7])
    )
    table = selected(runs)
    assert level_of(table, "dense") == [0]
    assert level_of(table, "optimal") == [1]
    assert level_of(table, "optimal", "clean") == [2]
    # Level 3 is better than dense on average (0.31 < 0.32), level 4 is not.
    assert level_of(table, "sparsest-better") == [3]
    assert level_of(table, "sparsest-better", "clean") == [4]
    clean = table[(table["which"] == "optimal") & (table["protocol"] == "clean")]
    assert clean["test_error"].tolist() == [0.23, 0.24, 0.25]
    assert clean["seed"].tolist() == [0, 1, 2]
    assert clean["loss_noisy"].tolist() == [2.0] * 3
    published = table[(table["which"] == "optimal") & (table["protocol"] == "published")]
    assert published["test_error"].tolist() == [0.2] * 3


def test_the_dense_network_can_be_the_best() -> None:
    table = selected(pd.DataFrame(rows("dense", 0, DENSE) + rows("pruned", 1, [0.4, 0.4, 0.4])))
    assert level_of(table, "optimal") == [0]
    assert level_of(table, "sparsest-better") == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_levels_that_tie_are_not_told_apart_by_rounding(order: tuple[int, ...]) -> None:
    """The same errors in another order of seeds: their paired differences sum to about -1e-17."""
    errors = [0.1, 0.2, 0.9]
    tied = [errors[i] for i in order]
    table = selected(pd.DataFrame(rows("dense", 0, errors) + rows("pruned", 1, tied)))
    assert level_of(table, "optimal") == [0]
    assert level_of(table, "sparsest-better") == []


def test_of_levels_that_tie_the_one_with_most_weights_is_optimal() -> None:
    tied = rows("pruned", 2, [0.2] * 3) + rows("pruned", 1, [0.1, 0.2, 0.3])
    table = selected(pd.DataFrame(rows("dense", 0, DENSE) + tied))
    assert level_of(table, "optimal") == [1]
    assert level_of(table, "sparsest-better") == [2]


def test_methods_share_the_dense_rows_and_extended_has_no_sparsity() -> None:
    runs = pd.DataFrame(
        rows("dense", 0, DENSE)
        + rows("extended", 1, [0.2] * 3, weights_remaining=1.0)
        + rows("width", 2, [0.2] * 3)
    )
    table = selected(runs)
    assert sorted(table["method"].unique()) == ["extended", "width"]
    for method in ("extended", "width"):
        dense = table[(table["method"] == method) & (table["which"] == "dense")]
        assert dense[dense["protocol"] == "published"]["test_error"].tolist() == DENSE
    assert level_of(table, "sparsest-better", method="extended") == []
    assert level_of(table, "sparsest-better", method="width") == [2]


def test_cells_are_chosen_apart() -> None:
    clean = rows("dense", 0, DENSE, noise=0.0) + rows("pruned", 1, [0.5] * 3, noise=0.0)
    noisy = rows("dense", 0, DENSE) + rows("pruned", 1, [0.1] * 3)
    other = rows("dense", 0, DENSE, benchmark="b") + rows("pruned", 1, [0.1] * 3, benchmark="b")
    table = selected(pd.DataFrame(clean + noisy + other))
    best = table[(table["which"] == "optimal") & (table["protocol"] == "published")]
    levels = best.groupby(["benchmark", "noise"])["level"].first().to_dict()
    assert levels == {("toy", 0.0): 0, ("toy", 40.0): 1, ("b", 40.0): 1}


def test_a_level_with_a_diverged_replicate_is_no_candidate() -> None:
    runs = pd.DataFrame(
        rows("dense", 0, DENSE)
        + rows("pruned", 1, [0.25, 0.25, 0.25])
        + rows("pruned", 2, [0.01, math.nan, 0.01])
    )
    assert level_of(selected(runs), "optimal") == [1]


def test_seeds_are_paired_where_dense_diverged() -> None:
    # Without seed 2, level 1 is worse than dense; its good seed 2 must not count.
    runs = pd.DataFrame(
        rows("dense", 0, [0.2, 0.2, math.nan]) + rows("pruned", 1, [0.25, 0.25, 0.0])
    )
    table = selected(runs)
    assert level_of(table, "optimal") == [0]
    assert table["test_error"].notna().all()


def test_nothing_to_choose_from() -> None:
    assert selected(pd.DataFrame(rows("dense", 0, DENSE))).empty
    lost = pd.DataFrame(rows("dense", 0, [math.nan] * 3) + rows("pruned", 1, [0.1] * 3))
    assert selected(lost).empty


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_rows_does_not_matter(order: int) -> None:
    runs = pd.DataFrame(rows("dense", 0, DENSE) + rows("pruned", 1, [0.1, 0.2, 0.3]))[::order]
    table = selected(runs)
    best = table[(table["which"] == "optimal") & (table["protocol"] == "published")]
    assert best.set_index("seed")["test_error"].to_dict() == {0: 0.1, 1: 0.2, 2: 0.3}
