"""Examples that are left out, against brute force, and what came of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gst.analysis.left_out import choose, metadata, pruned_level
from gst.analysis.subgroups import group_of
from gst.analysis.tables import regularization_tables
from gst.artifacts import ArtifactError, write_npz
from gst.layout import Cohort, RunPath, left_out_path
from gst.recipe import LeaveOut, WeightPruning

RNG = np.random.default_rng(7)
SEEDS = (0, 1)
DENSE, SPARSE, SPARSER = RNG.random((3, 2, 40)).astype(np.float32)
SCORES = RNG.random((2, 3, 40)).astype(np.float32)
NOISY = RNG.random((2, 40)) < 0.3


def leave_out(by: str, **settings: Any) -> LeaveOut:
    return LeaveOut.parse(json.dumps({"by": by, **settings}))


def write(writer, percent: str = "0", errors: tuple[float, ...] = (0.5, 0.3, 0.4)) -> dict:
    """Write a dense network and two pruned levels with these test errors; return their recipes."""
    place = f"regularization/toy/noise-{percent}"
    if percent != "0":
        writer.labels(percent, NOISY)
    for level, (error, losses) in enumerate(zip(errors, (DENSE, SPARSE, SPARSER), strict=True)):
        pruning = WeightPruning(kind="weights") if level else None
        recipe = writer.recipe(float(percent), level=level, intervention=pruning)
        epochs = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 1 - error]) for seed in SEEDS]
        method = "pruned" if level else "dense"
        writer.run(f"{place}/{method}/level-{level:02d}", recipe, epochs, losses, 0.8**level)
    writer.scores("toy", percent, SCORES)
    return dict(writer.expected)


def test_the_examples_that_pruning_improves_most(writer) -> None:
    settings = leave_out("improved", percent=20)
    found = choose(writer.results, settings, "toy", SEEDS, write(writer))
    assert found.level == 1 and found.seeds == SEEDS
    for own, left in enumerate(found.left_out):
        change = SPARSE[own].astype(float) - DENSE[own]
        assert left.sum() == 8
        assert change[left].max() < change[~left].min()


def test_the_examples_that_the_pruned_network_misclassifies(writer) -> None:
    found = choose(writer.results, leave_out("misclassified"), "toy", SEEDS, write(writer))
    np.testing.assert_array_equal(found.left_out, SPARSE >= 0.7)


def test_the_group_that_pruning_worsens_most_at_the_sparsest_level_better_than_dense(
    writer,
) -> None:
    settings = leave_out("worsened-subgroup", which="sparsest-better")
    found = choose(writer.results, settings, "toy", SEEDS, write(writer), groups=20)
    assert found.level == 2
    for own, left in enumerate(found.left_out):
        group = group_of(SCORES[own].mean(axis=0, dtype=np.float64), 20)
        change = SPARSER[own].astype(float) - DENSE[own]
        means = {g: change[group == g].mean() for g in range(1, 21)}
        np.testing.assert_array_equal(left, group == max(means, key=lambda g: means[g]))


def test_random_examples_are_nested_and_of_exact_number(writer) -> None:
    def draw(percent: float, *seeds: int) -> np.ndarray:
        settings = leave_out("random", percent=percent)
        found = choose(writer.results, settings, "toy", seeds, {})
        assert found.level is None
        return found.left_out

    few, many = draw(5, 0, 1), draw(20, 0, 1)
    assert few.sum(axis=1).tolist() == [2, 2] and many.sum(axis=1).tolist() == [8, 8]
    assert not (few & ~many).any()
    assert not np.array_equal(few[0], few[1])
    np.testing.assert_array_equal(draw(20, 1), many[1:])


@pytest.mark.parametrize(
    ("errors", "optimal", "sparsest"),
    [((0.5, 0.3, 0.4), 1, 2), ((0.5, 0.4, 0.6), 1, 1), ((0.2, 0.4, 0.3), 2, 2)],
    ids=["both better", "one better", "none better"],
)
def test_levels(writer, errors: tuple[float, ...], optimal: int, sparsest: int) -> None:
    write(writer, errors=errors)
    runs = regularization_tables(writer.results, writer.expected, groups=None)["runs"]
    assert pruned_level(runs, "optimal") == optimal
    assert pruned_level(runs, "sparsest-better") == sparsest
    assert pruned_level(runs[runs["method"] == "dense"], "optimal") is None


def test_a_seed_that_diverged_leaves_out_none(writer, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = DENSE.copy()
    losses[1, 3] = np.nan
    monkeypatch.setitem(globals(), "DENSE", losses)
    found = choose(
        writer.results, leave_out("improved", percent=20), "toy", SEEDS, write(writer)
    ).left_out
    assert found.sum(axis=1).tolist() == [8, 0]


def test_nothing_to_go_by_is_an_error(writer) -> None:
    runs = {place: r for place, r in write(writer).items() if "dense" in place}
    with pytest.raises(ArtifactError, match="no pruned level is left that did not diverge"):
        choose(writer.results, leave_out("misclassified"), "toy", SEEDS, runs)


def trained(writer, method: str, settings: LeaveOut, errors: tuple[float, float]) -> np.ndarray:
    """Write what two networks with 20% noise leave out, and their runs; return the former."""
    recipe = writer.recipe(20.0, left_out=settings)
    choice = choose(writer.results, settings, "toy", SEEDS, writer.expected)
    place = f"regularization/toy/noise-20/{method}/level-00"
    file = writer.results / left_out_path(RunPath.parse(f"{place}/seeds-0-0"))
    arrays = {"left_out": choice.left_out, "seeds": np.array(choice.seeds)}
    write_npz(file, arrays, metadata(settings, choice))
    for seed, error in enumerate(errors):
        writer.run(
            place,
            recipe,
            [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 1 - error])],
            DENSE[[seed]],
            cohort=Cohort(seed, seed),
            left_out=choice.left_out[[seed]],
        )
        write_npz(
            writer.results / f"labels/toy/noise-20/seeds-{seed}-{seed}.npz",
            {"seeds": np.array([seed]), "noisy": NOISY[[seed]]},
            {},
        )
    return choice.left_out


def test_the_table_pairs_seeds(writer) -> None:
    write(writer, "20")
    left = trained(writer, "without", leave_out("misclassified"), (0.25, 0.35))
    trained(writer, "any", leave_out("random", percent=20), (0.45, 0.55))
    tables = regularization_tables(writer.results, writer.expected, groups=20)
    found = tables["left_out"].set_index(["method", "seed"])
    for seed in SEEDS:
        row = found.loc[("without", seed)]
        noisy = NOISY[seed]
        assert row["examples"] == left[seed].sum()
        assert row["share_noisy"] == pytest.approx(noisy[left[seed]].mean())
        assert row["noisy_excess"] == pytest.approx(noisy[left[seed]].mean() - noisy.mean())
        assert row["test_error"] == pytest.approx((0.25, 0.35)[seed])
        assert row["test_error_dense"] == pytest.approx(0.5)
        assert row["test_error_pruned"] == pytest.approx(0.3)
        assert row["level"] == 1 and row["weights_remaining"] == pytest.approx(0.8)
    assert found.loc["any", ["level", "test_error_pruned"]].isna().all(axis=None)

    # They are runs like others, whose losses are those of what they trained on, but no levels.
    runs = tables["runs"].set_index(["method", "seed"])
    for seed in SEEDS:
        kept = ~left[seed]
        loss = runs.loc[("without", seed)]
        assert loss["train_loss"] == pytest.approx(DENSE[seed][kept].mean())
        assert loss["loss_noisy"] == pytest.approx(DENSE[seed][kept & NOISY[seed]].mean())
    assert set(tables["selected"]["method"]) == {"pruned"}


def test_a_run_without_other_examples_than_listed_is_refused(writer) -> None:
    write(writer, "20")
    trained(writer, "without", leave_out("misclassified"), (0.25, 0.35))
    path = RunPath.parse("regularization/toy/noise-20/without/level-00/seeds-0-0")
    write_npz(
        writer.results / left_out_path(path),
        {"left_out": np.zeros((2, 40), dtype=bool), "seeds": np.array(SEEDS)},
        {"level": 1},
    )
    with pytest.raises(ArtifactError, match="trained without other examples than are listed"):
        regularization_tables(writer.results, writer.expected, groups=20)


def test_pictures_are_of_the_examples_that_get_worse(writer) -> None:
    write(writer, "0")
    write(writer, "20")
    found = regularization_tables(writer.results, writer.expected, groups=20)["pictures"]
    changes = {
        0: (SPARSER.astype(float) - DENSE).mean(axis=0),
        20: SPARSER[0].astype(float) - DENSE[0],
    }
    for noise, change in changes.items():
        own = found[found["noise"] == noise]
        worst = np.argsort(-change)[:16]
        assert own["example"].tolist() == worst.tolist()
        np.testing.assert_allclose(own["loss_difference"], change[worst])
        assert own["original"].tolist() == ["abc"[n % 3] for n in worst]
        shifted = NOISY[0][worst] if noise else np.zeros(16, dtype=bool)
        expected = ["abc"[(n + int(wrong)) % 3] for n, wrong in zip(worst, shifted, strict=True)]
        assert own["given"].tolist() == expected
        assert [bytes.fromhex(text)[0] for text in own["pixels"]] == worst.tolist()
    assert pd.unique(found["level"]).tolist() == [2]
