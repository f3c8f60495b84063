"""What follows from a configuration: runs, their order and their places."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gst.config import Study, load_study, read_study
from gst.layout import EARLY, RunPath
from gst.recipe import FilterPruning, LabelNoise, Recipe

few = settings(max_examples=30, deadline=None)
CONFIG = Path(__file__).parents[2] / "config"
Files = dict[str, dict[str, Any]]


@st.composite
def trainings(draw: st.DrawFn) -> dict[str, Any]:
    epochs = draw(st.integers(6, 30))
    optimisers = [{"kind": "sgd", "lr": 0.1, "momentum": 0.5}, {"kind": "adam", "lr": 0.001}]
    return {
        "epochs": epochs,
        "batch_size": draw(st.sampled_from([32, 100])),
        "optimiser": draw(st.sampled_from(optimisers)),
        "milestones": sorted(draw(st.sets(st.integers(1, epochs - 1), max_size=3))),
        "warmup_epochs": draw(st.integers(0, 2)),
    }


def prunings() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"kind": st.just("weights")},
        optional={
            "rewind": st.sampled_from(["learning-rate", "weights"]),
            "schedule": st.sampled_from(["iterative", "one-shot"]),
            "scope": st.just("layer"),
            "score": st.sampled_from(["random", "largest", "snip", "synflow"]),
        },
    )


@st.composite
def benchmarks(draw: st.DrawFn) -> dict[str, Any]:
    training = draw(trainings())
    epochs = training["epochs"]
    cohort = draw(st.integers(1, 3))
    common = {
        "dataset": draw(st.sampled_from(["digits", "mnist"])),
        "network": {"name": "vgg-digits"},
        "training": training,
        "cohort": cohort,
        "replicates": cohort * draw(st.integers(1, 3)),
    }
    if draw(st.booleans()):
        percents = st.integers(0, 198).map(lambda halves: halves / 2)
        methods = st.lists(st.sampled_from(["pruned", "extended", "width"]), unique=True)
        return common | {
            "study": "regularization",
            "noise": draw(st.lists(percents, unique=True, min_size=1, max_size=3)),
            "methods": draw(methods.filter(len)),
            "levels": draw(st.integers(1, 5)),
            "rewind_epoch": draw(st.integers(3, epochs - 1) | st.just(0)),
            "noise_kind": draw(st.sampled_from(["uniform", "pair-flip"])),
            "ablations": draw(st.none() | st.dictionaries(st.sampled_from(["a", "b"]), prunings())),
            "leave_out": draw(st.none() | st.just({"less": {"by": "random", "percent": 10}})),
            "pruning": {"kind": "weights", "fraction": draw(st.floats(0.05, 0.9))},
            "el2n": {"epoch": draw(st.integers(3, epochs))},
            "flatness": draw(st.none() | st.builds(lambda n: {"every": n}, st.integers(1, 6))),
        }
    first = draw(st.integers(0, epochs - 2))
    window = draw(st.integers(1, epochs - 1 - first))
    pruned = {"kind": "filters", "fractions": [0.5], "first_epochs": [first], "target": "R"}
    pruned |= {"last_epochs": [first + window]}
    pruned |= {"period": draw(st.none() | st.integers(1, window))}
    variants = {"none": None, "pruned": pruned, "scratch": {"kind": "scratch", "fractions": [0.1]}}
    names = draw(st.sets(st.sampled_from(sorted(variants)), min_size=1))
    scored = st.builds(lambda epoch: {"epoch": epoch}, st.integers(3, epochs))
    flatness = st.builds(lambda epoch: {"epoch": epoch}, st.integers(1, epochs))
    return common | {
        "study": "stability",
        "variants": {name: variants[name] for name in sorted(names)},
        "el2n": draw(st.none() | scored) if "none" in names else None,
        "flatness": draw(st.none() | flatness),
        "activations": draw(st.none() | st.just({"examples": 9})),
    }


def files() -> st.SearchStrategy[Files]:
    names = st.sampled_from(["one", "two-b", "3.c"])
    return st.dictionaries(names, benchmarks(), min_size=1, max_size=3)


def study_of(folder: Path, files: Files, changes: dict[str, Any] | None = None) -> Study:
    """Write benchmark files and load the study that lists them."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data))
    listed = {name: (changes or {}).get(name) for name in files}
    return load_study({"name": "s", "benchmarks": listed}, source="s", benchmarks=folder)


def texts(study: Study) -> dict[str, str]:
    return {str(path): recipe.canonical() for path, recipe in study.runs()}


@few
@given(files=files())
def test_every_run_has_a_place_and_follows_the_run_it_starts_from(
    files: Files, tmp_path_factory: Any
) -> None:
    study = study_of(tmp_path_factory.mktemp("study"), files)
    planned: dict[RunPath, Recipe] = {}
    for path, recipe in study.runs():
        assert path not in planned
        assert RunPath.parse(f"results/runs/{path}") == path
        assert Recipe.parse(recipe.canonical()) == recipe
        assert float(path.percent) == recipe.labels.percent
        before = recipe.previous()
        if before is not None:
            assert recipe.level == path.level
            method = path.method if before.level else "dense"
            start = dataclasses.replace(path, method=method, level=before.level)
            assert planned[start] == before
            assert before.level in (0, path.level - 1)
        if early := recipe.early():
            assert planned[dataclasses.replace(path, method=EARLY, level=0)] == early
        if not recipe.labels.percent:
            assert recipe.labels == LabelNoise()
        planned[path] = recipe
    needed = {
        dataclasses.replace(p, method=EARLY, level=0) for p, r in planned.items() if r.early()
    }
    assert {path for path in planned if path.method == EARLY} == needed
    assert study.recipes == planned


@few
@given(files=files())
def test_every_replicate_of_every_condition_is_planned_once(
    files: Files, tmp_path_factory: Any
) -> None:
    study = study_of(tmp_path_factory.mktemp("study"), files)
    seeds = [
        (path.benchmark, path.percent, path.method, path.level, seed)
        for path, _ in study.runs()
        for seed in path.cohort.seeds
        if path.method != EARLY
    ]
    expected = []
    for name, data in files.items():
        for seed in range(data["replicates"]):
            for percent in data.get("noise", [0]):
                at = name, f"{percent:g}"
                expected += [(*at, variant, 0, seed) for variant in data.get("variants", ["dense"])]
                for method in (*data.get("methods", ()), *(data.get("ablations") or ())):
                    expected += [(*at, method, k + 1, seed) for k in range(data["levels"])]
                expected += [(*at, method, 0, seed) for method in data.get("leave_out") or ()]
    assert sorted(seeds) == sorted(expected)


@few
@given(files=files(), more=benchmarks(), blocks=st.integers(2, 3))
def test_more_seeds_and_benchmarks_leave_planned_runs_as_they_are(
    files: Files, more: dict[str, Any], blocks: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("study")
    before = texts(study_of(folder, files))
    changes = {name: {"replicates": data["replicates"] * blocks} for name, data in files.items()}
    after = texts(study_of(folder, files | {"more": more}, changes))
    assert len(after) > len(before)
    assert before.items() <= after.items()


@few
@given(files=files())
def test_scores_are_taken_early_in_the_dense_training(files: Files, tmp_path_factory: Any) -> None:
    study = study_of(tmp_path_factory.mktemp("study"), files)
    jobs = study.el2n()
    dense = [
        path
        for path, recipe in study.recipes.items()
        if path.method == "dense" or (path.method == "none" and files[path.benchmark]["el2n"])
    ]
    assert [(job.benchmark, job.percent, job.cohort) for job in jobs] == [
        (path.benchmark, path.percent, path.cohort) for path in dense
    ]
    for job, path in zip(jobs, dense, strict=True):
        full, cut = study.recipes[path].model_copy(update={"snapshots": ()}), job.recipe
        end = cut.training.epochs
        assert end == files[job.benchmark]["el2n"]["epoch"]
        assert Recipe.parse(cut.canonical()) == cut
        assert job.networks == 10
        changed = {"epochs": end, "milestones": cut.training.milestones}
        assert full.model_copy(update={"training": full.training.model_copy(update=changed)}) == cut
        dropped = set(full.training.milestones) - set(cut.training.milestones)
        assert all(epoch >= end for epoch in dropped)


def is_measured(path: RunPath, benchmark: dict[str, Any]) -> bool:
    """Whether flatness is: every variant; of methods, but not of ablations, some levels."""
    if benchmark["flatness"] is None or benchmark["study"] == "stability":
        return bool(benchmark["flatness"])
    every, levels = benchmark["flatness"]["every"], benchmark["levels"]
    if path.method == "dense":
        return True
    return path.method in benchmark["methods"] and path.level in {*range(0, levels, every), levels}


@few
@given(files=files())
def test_flatness_is_measured_on_weights_that_a_run_keeps(
    files: Files, tmp_path_factory: Any
) -> None:
    study = study_of(tmp_path_factory.mktemp("study"), files)
    jobs = study.flatness()
    assert [job.path for job in jobs] == [
        path for path in study.recipes if is_measured(path, files[path.benchmark])
    ]
    for job in jobs:
        recipe = study.recipes[job.path]
        assert job.settings.epoch in {*recipe.snapshots, recipe.training.epochs}
        assert recipe.training.epochs not in recipe.snapshots


@few
@given(files=files())
def test_activations_are_measured_where_a_benchmark_asks_for_them(
    files: Files, tmp_path_factory: Any
) -> None:
    study = study_of(tmp_path_factory.mktemp("study"), files)
    jobs = study.activations()
    asked = [p for p in study.recipes if files[p.benchmark].get("activations")]
    assert [job.path for job in jobs] == asked
    assert all(job.settings.examples == 9 for job in jobs)


def test_widths_shrink_by_exact_steps(folder: Path) -> None:
    study = read_study(folder / "study.yaml")
    widths = [
        recipe.network.width
        for path, recipe in study.recipes.items()
        if path.method == "width" and path.percent == "0" and path.cohort.first == 0
    ]
    assert widths == [0.8, 0.64]


def test_changes_are_merged_key_by_key_but_another_kind_replaces(folder: Path) -> None:
    (folder / "study.yaml").write_text("""
        name: test
        benchmarks:
          reg:
            training: {epochs: 20, optimiser: {kind: adam, lr: 0.01}}
            noise: [5]
          stab:
            variants: {slow: {period: 3}, scratch: null}
        """)
    study = read_study(folder / "study.yaml")
    training = study.benchmarks["reg"].training
    assert training.optimiser.model_dump(exclude_defaults=True) == {"kind": "adam", "lr": 0.01}
    assert (training.epochs, training.batch_size, training.milestones) == (20, 64, (8,))
    assert {path.percent for path in study.recipes if path.benchmark == "reg"} == {"5"}
    interventions = {
        path.method: recipe.intervention
        for path, recipe in study.recipes.items()
        if path.benchmark == "stab"
    }
    assert interventions["scratch"] is None
    slow = interventions["slow"]
    assert isinstance(slow, FilterPruning)
    assert (slow.period, slow.fractions) == (3, (0.3, 0.9))


def test_own_datasets_stand_beside_the_built_in_ones(folder: Path) -> None:
    (folder / "study.yaml").write_text("""
        name: test
        datasets: {few: {kind: subset, of: mnist, train: 100}}
        benchmarks: {reg: {dataset: few}}
        """)
    study = read_study(folder / "study.yaml")
    assert {"digits", "mnist", "cifar10", "cifar100", "imagenet", "few"} == set(study.datasets)


def test_thousands_of_runs_are_planned_in_well_under_a_second() -> None:
    study = read_study(CONFIG / "paper.yaml")
    start = time.process_time()
    runs = study.runs()
    for run in runs:
        run.recipe.canonical()
    seconds = time.process_time() - start
    assert seconds / len(runs) < 1e-4
