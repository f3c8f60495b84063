from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gst.planning.reasons import Reason, explain, in_words


def param(value: object) -> str:
    """Write a param as Snakemake records it."""
    return repr(json.dumps(value, sort_keys=True) if isinstance(value, dict) else value)


BEFORE = {"network": {"name": "lenet"}, "training": {"epochs": 40, "milestones": [10, 20]}}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"training": {"epochs": 50, "milestones": [10, 20]}}, "training.epochs 40 -> 50"),
        (
            {"training": {"epochs": 40, "milestones": [10]}},
            "training.milestones [10, 20] -> [10]",
        ),
        ({"network": {"name": "lenet", "width": 0.8}}, "network.width default -> 0.8"),
        ({"network": {"name": "vgg"}}, 'network.name "lenet" -> "vgg"'),
        ({"level": 3}, "level default -> 3"),
    ],
)
def test_a_changed_setting_is_named_with_both_values(changed: dict, words: str) -> None:
    reason = Reason(
        "train_dense",
        params_before=[param(BEFORE)],
        params_now=[param({**BEFORE, **changed})],
    )
    assert in_words(reason) == f"settings changed: {words}"


def test_code_is_told_from_settings() -> None:
    reason = Reason("r", params_before=[param("0" * 16)], params_now=[param("f" * 16)])
    assert in_words(reason) == "code changed"
    assert in_words(replace(reason, commit="abc")) == "code changed since commit abc"


def test_numbers_without_a_name() -> None:
    reason = Reason("el2n", params_before=[param(2)], params_now=[param(3)])
    assert in_words(reason) == "settings changed: 2 -> 3"


def test_many_changes_are_counted() -> None:
    now = {**BEFORE, **dict.fromkeys("abcde", 1)}
    reason = Reason("r", params_before=[param(BEFORE)], params_now=[param(now)])
    assert in_words(reason).endswith("c default -> 1 and 2 more")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"outputs": 2, "missing": ["a", "b"]}, "was not made yet"),
        ({"outputs": 2, "missing": ["a"]}, "missing: a"),
        ({"forced": True}, "asked for on the command line"),
        ({"interrupted": True}, "was stopped before it ended"),
        ({"newer": ["data/x.npz"]}, "newer than what was made of them: data/x.npz"),
        (
            {"inputs_before": {"a", "b"}, "inputs_now": {"b", "c", "d"}},
            "reads other files: 2 more, 1 fewer",
        ),
        ({"after": ["el2n", "merge"]}, "reads new results of el2n, merge"),
    ],
)
def test_other_reasons(given: dict, words: str) -> None:
    assert in_words(Reason("r", **given)) == words


def test_equal_reasons_of_a_rule_stand_in_one_line() -> None:
    some = [Reason("merge", forced=True)] * 3 + [Reason("merge", interrupted=True)]
    assert explain([Reason("el2n", forced=True), *some]).splitlines() == [
        "5 jobs would run.",
        "",
        "el2n",
        "  1  asked for on the command line",
        "",
        "merge",
        "  3  asked for on the command line",
        "  1  was stopped before it ended",
    ]


def test_nothing_to_do() -> None:
    assert "Nothing" in explain([])
