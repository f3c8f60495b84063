"""Recipes: canonical text, levels, schedules of structured pruning."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gst.recipe import FilterPruning, GradualPruning, Recipe, final_filters

BASE: dict[str, Any] = {
    "dataset": "digits",
    "network": {"name": "lenet"},
    "training": {"epochs": 10, "batch_size": 4, "optimiser": {"kind": "sgd", "lr": 0.1}},
}


def recipe(**changes: Any) -> Recipe:
    return Recipe.parse(json.dumps({**BASE, **changes}))


def filters(**changes: Any) -> FilterPruning:
    value = {
        "kind": "filters", "fractions": [0.9], "first_epochs": [6], "last_epochs": [275],
        "period": 40, "target": "L", **changes,
    }  # fmt: skip
    return FilterPruning.parse(json.dumps(value))


def gradual(**changes: Any) -> GradualPruning:
    value = {
        "kind": "gradual", "fraction": 0.9, "first_epoch": 6, "last_epoch": 275,
        "period": 40, "target": "L", **changes,
    }  # fmt: skip
    return GradualPruning.parse(json.dumps(value))


def test_defaults_and_the_order_of_keys_do_not_change_the_text() -> None:
    spelled = {**dict(reversed(BASE.items())), "level": 0, "labels": {"percent": 0}}
    assert Recipe.parse(json.dumps(spelled)).canonical() == recipe().canonical()
    assert "level" not in recipe().canonical()


def test_swapping_values_changes_the_text() -> None:
    one = recipe(rewind_epoch=3, level=5).canonical()
    assert one != recipe(rewind_epoch=5, level=3).canonical()
    assert Recipe.parse(one) == recipe(rewind_epoch=3, level=5)


def test_levels_lead_back_to_the_dense_run() -> None:
    last = recipe(level=2, rewind_epoch=4, intervention={"kind": "weights"})
    first = last.previous()
    assert first == recipe(level=1, rewind_epoch=4, intervention={"kind": "weights"})
    assert first.previous() == recipe()
    assert recipe().previous() is None


def test_epochs_spent_are_t_plus_k_times_t_minus_the_rewind_epoch() -> None:
    assert recipe(level=3, rewind_epoch=4).epochs_spent == 10 + 3 * (10 - 4)
    assert recipe(level=3, rewind_epoch=4).first_epoch == 4
    assert recipe().first_epoch == 0


def test_one_shot_levels_start_from_the_dense_run() -> None:
    pruning = {"kind": "weights", "schedule": "one-shot"}
    last = recipe(level=3, rewind_epoch=4, intervention=pruning)
    assert last.previous() == recipe()
    assert last.epochs_spent == 10 + (10 - 4)
    assert last.early() is None


def test_weights_rewind_to_the_dense_run_cut_off() -> None:
    training = {**BASE["training"], "milestones": [2, 4, 6]}
    dense = recipe(training=training, labels={"percent": 15})
    pruning = {"kind": "weights", "rewind": "weights"}
    changes = {"training": training, "labels": {"percent": 15}, "intervention": pruning}
    for level in (1, 2):
        made = recipe(level=level, rewind_epoch=4, **changes)
        cut = {**training, "epochs": 4, "milestones": [2]}
        assert made.early() == recipe(training=cut, labels={"percent": 15})
        assert made.rewinds_weights
    assert recipe(level=2, rewind_epoch=4, **changes).previous() == recipe(
        level=1, rewind_epoch=4, **changes
    )
    assert recipe(level=1, rewind_epoch=4, **changes).previous() == dense
    to_start = recipe(level=1, **changes)
    assert to_start.rewinds_weights and to_start.early() is None
    assert not recipe(level=0, rewind_epoch=4, **changes).rewinds_weights
    assert recipe(level=1, rewind_epoch=4).early() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "level": 1,
                "rewind_epoch": 2,
                "training": {**BASE["training"], "warmup_epochs": 2},
                "intervention": {"kind": "weights", "rewind": "weights"},
            },
            "cannot be rewound to epoch 2, in the warm-up of 2 epochs",
        ),
        ({"labels": {"kind": "asymmetric"}}, "asymmetric noise needs a map"),
        ({"labels": {"kind": "pair-flip", "map": {"a": "b"}}}, "pair-flip noise has none"),
        ({"labels": {"kind": "asymmetric", "map": {"a": "a"}}}, "the map leaves a as it is"),
        ({"rewind_epoch": 10}, "rewind_epoch 10 is past the end"),
        ({"snapshots": [11]}, "snapshot after epoch 11 of 10"),
        ({"colour": 1}, "Extra inputs"),
        ({"labels": {"percent": 100}}, "less than 100"),
        ({"intervention": json.loads(filters().canonical())}, "event at the end of epoch 246"),
        ({"training": {**BASE["training"], "milestones": [5, 5]}}, "milestones must increase"),
        ({"training": {**BASE["training"], "milestones": [10]}}, "never reached"),
        ({"training": {**BASE["training"], "epochs": "10"}}, "valid integer"),
    ],
)
def test_impossible_recipes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**changes)


def test_the_published_schedule_of_vgg11() -> None:
    """Stability study, Fig. 2: the last four layers, a pruning every 40 epochs."""
    schedule = filters(
        fractions=[0.3, 0.3, 0.3, 0.9],
        first_epochs=[3, 4, 5, 6],
        last_epochs=[150, 150, 150, 275],
    )
    assert list(schedule.events(3)) == [6, 46, 86, 126, 166, 206, 246]
    assert [schedule.kept(3, 512, i) for i in range(1, 8)] == [447, 381, 315, 250, 184, 118, 52]
    assert [schedule.kept(0, 512, i) for i in range(1, 5)] == [474, 436, 398, 359]


@given(
    st.integers(1, 600),
    st.integers(1, 99).map(lambda n: n / 100),
    st.integers(0, 20),
    st.integers(1, 60),
    st.none() | st.integers(1, 30),
)
def test_kept_filters_fall_to_the_exact_share(
    n: int, fraction: float, first: int, length: int, period: int | None
) -> None:
    period = period and min(period, length)
    schedule = filters(
        fractions=[fraction], first_epochs=[first], last_epochs=[first + length], period=period
    )
    assert list(schedule.events(0)) == [
        epoch for epoch in range(first, first + length + 1) if (epoch - first) % (period or 99) == 0
    ]
    events = len(schedule.events(0))
    kept = [n] + [schedule.kept(0, n, i) for i in range(1, events + 1)]
    final = ceil((1 - Fraction(round(fraction * 100), 100)) * n)
    assert kept[-1] == final == final_filters(fraction, n) >= 1
    assert kept == sorted(kept, reverse=True)
    for i, left in enumerate(kept[1:], start=1):
        assert left == ceil(Fraction(final * i + n * (events - i), events))
    weights = gradual(
        fraction=fraction, first_epoch=first, last_epoch=first + length, period=period
    )
    assert weights.events == schedule.events(0)
    assert kept[1:] == [weights.kept(n, i) for i in range(1, events + 1)]


def test_a_single_number_holds_for_every_layer() -> None:
    whole = filters(fractions=0.1, first_epochs=40, last_epochs=100, period=30)
    assert whole.layers is None
    for layer in range(16):
        assert list(whole.events(layer)) == [40, 70, 100]
        assert (whole.fraction(layer), whole.kept(layer, 64, 2)) == (0.1, 60)
    listed = filters(fractions=[0.1] * 3, first_epochs=40, last_epochs=100, period=30)
    assert listed.layers == 3
    assert all(listed.events(layer) == whole.events(layer) for layer in range(3))


def test_the_last_event_is_that_of_any_layer() -> None:
    schedule = filters(fractions=[0.5, 0.5], first_epochs=[3, 4], last_epochs=[50, 20], period=10)
    assert schedule.last_event == 43
    assert filters(period=None).last_event == 6
    assert gradual().last_event == 246


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (filters, {"first_epochs": [6, 7]}, "first_epochs has 2 entries, fractions has 1"),
        (filters, {"fractions": 0.9}, "epochs must be one, too"),
        (filters, {"first_epochs": 276, "last_epochs": 275}, "276 comes after last epoch 275"),
        (filters, {"period": 270}, "longer than the longest window, 269 epochs"),
        (filters, {"fractions": []}, "at least 1 item"),
        (gradual, {"first_epoch": 276}, "276 comes after last epoch 275"),
        (gradual, {"period": 270}, "longer than the window, 269 epochs"),
        (gradual, {"fraction": 1.0}, "less than 1"),
    ],
)
def test_impossible_schedules_are_refused(
    make: Callable[..., Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**changes)


def test_seven_tenths_is_exact() -> None:
    assert final_filters(0.7, 20) == 6 and ceil((1 - 0.7) * 20) == 7
