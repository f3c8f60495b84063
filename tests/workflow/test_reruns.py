"""What runs again on finished results, and what does not."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from gst.artifacts import read_npz
from gst.registry import entries

PARTS = ("Snakefile", "config", "envs", "profiles", "slurm", "src", "workflow")
IDLE = ("\n@register", "\nIDLE = 1\n\n\n@register")
LACKED = {"ablations", "activations", "leave_out", "noise", "rates"}
FIGURES = Counter(
    entry.facts["study"]
    for entry in entries("gst.figures").values()
    if LACKED.isdisjoint(entry.facts["needs"])
)
SUMMARY = Counter(merge=1, claims=1, report=1)
DENSE_LEVELS = Counter(train_dense=2, train_width=2, train_pruned=4, train_extended=4)
VARIANTS = 6
REGULARIZATION = SUMMARY + Counter(tables_regularization=1, figure=FIGURES["regularization"])
STABILITY = SUMMARY + Counter(tables_stability=1, figure=FIGURES["stability"])
BOTH = REGULARIZATION | STABILITY | Counter(figure=FIGURES.total())
TRAINED = DENSE_LEVELS + Counter(train_stability=VARIANTS, el2n=3, flatness=8 + VARIANTS) + BOTH
"""Everything but what comes before training."""

HARMLESS = {
    "src/gst/training/loop.py": ('"""', '"""In other words: '),
    "src/gst/training/optimisers.py": ("\ndef ", "\n\n\n# A remark.\ndef "),
    "src/gst/training/evaluate.py": (" -> ", " -> 'object' | "),
    "src/gst/training/run.py": (" = ", "  =  "),
    "workflow/scripts/train.py": ("with logged", "# A remark.\nwith logged"),
    "workflow/rules/training.smk": ("runtime=240", "runtime=480"),
    "workflow/rules/flatness.smk": ("threads: 1", "threads: 2"),
    "envs/gst.yaml": ("  - pip\n", "  - pip\n  - git\n"),
    "profiles/default/config.yaml": ("cores: all", "cores: 2\nset-threads: {train_dense: 2}"),
    "src/gst/config/study.py": ('"results"', '"output"'),
}
"""Edits on which no result depends: docstring, comment, type hint, spaces, a script's remark, run
time, threads, environment, profile, the default of a setting that the study states."""

EDITED = {
    "src/gst/data/noise.py": TRAINED + Counter(label_noise=2),
    "src/gst/training/loop.py": TRAINED,
    "src/gst/models/lenet.py": DENSE_LEVELS + Counter(el2n=2, flatness=8) + REGULARIZATION,
    "src/gst/models/vgg.py": Counter(train_stability=VARIANTS, el2n=1, flatness=VARIANTS)
    + STABILITY,
    "src/gst/pruning/weight_scores/magnitude.py": Counter(train_pruned=4, flatness=2)
    + REGULARIZATION,
    "src/gst/pruning/filter_scores/norms.py": Counter(
        train_stability=VARIANTS - 1, flatness=VARIANTS - 1
    )
    + STABILITY,
    "src/gst/training/interventions/scratch.py": Counter(train_stability=1, flatness=1) + STABILITY,
    "src/gst/measures/flatness/loss.py": Counter(flatness=8 + VARIANTS) + BOTH,
    "src/gst/measures/el2n.py": Counter(el2n=3) + BOTH,
    "src/gst/analysis/subgroups.py": BOTH,
    "src/gst/analysis/claims.py": Counter(claims=1, report=1),
    "src/gst/figures/style.py": Counter(figure=FIGURES.total(), report=1),
    "src/gst/figures/influence.py": Counter(figure=1, report=1),
}
"""For a statement that is added to a module of the library: every job that runs again."""


def test_nothing_when_nothing_changed(finished, tiny) -> None:
    text = finished.succeed("all", "--configfile", finished.write(tiny))
    assert "Nothing to be done" in text


def test_nothing_when_no_result_depends_on_an_edit(finished, tiny) -> None:
    with ExitStack() as edits:
        for file, (old, new) in HARMLESS.items():
            edits.enter_context(finished.edited(file, old, new))
        assert finished.plan({**tiny, "results": "results"}).rules == {}


@pytest.mark.parametrize("file", EDITED)
def test_an_edit_of_code_reruns_what_uses_it(finished, file: str) -> None:
    first = "\nfrom __future__ import annotations\n"
    with finished.edited(file, first, f"{first}\nIDLE = 1\n"):
        assert finished.plan().rules == EDITED[file]


def test_nothing_when_a_model_a_score_or_a_source_is_added(finished) -> None:
    added = {
        "src/gst/models/mine.py": '@register("mine", filters=())\ndef mine(*a):\n    ...\n',
        "src/gst/pruning/weight_scores/mine.py": '@register("mine")\ndef mine(w):\n    ...\n',
        "src/gst/data/sources/mine.py": '@register("mine")\ndef mine(data_root):\n    ...\n',
    }
    for file, text in added.items():
        (finished.root / file).write_text(f"from gst.registry import register\n\n\n{text}")
    try:
        assert finished.plan().rules == {}
    finally:
        for file in added:
            (finished.root / file).unlink()


def test_nothing_in_a_fresh_checkout_with_the_results_copied(
    finished, tmp_path: Path, tiny
) -> None:
    """Every file of the project is new; results and Snakemake's records keep their times."""
    for part in PARTS:
        if (finished.root / part).is_dir():
            shutil.copytree(finished.root / part, tmp_path / part, copy_function=shutil.copy)
        else:
            shutil.copy(finished.root / part, tmp_path / part)
    for part in ("results", ".snakemake"):
        shutil.copytree(finished.root / part, tmp_path / part, symlinks=True)
    assert type(finished)(tmp_path).plan(tiny).rules == {}


@contextmanager
def touched(paths: Sequence[Path]) -> Iterator[None]:
    """Let files look new for a while."""
    before = {path: path.stat() for path in paths}
    for path in paths:
        path.touch()
    try:
        yield
    finally:
        for path, stat in before.items():
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_nothing_when_data_look_new_but_are_the_same(finished) -> None:
    with touched(list((finished.root / "results/data").rglob("*.*"))):
        assert finished.plan().rules == {}


def test_nothing_when_images_look_new_that_are_too_large_to_compare(finished) -> None:
    """As Snakemake does with files above 1 MB; other files are compared."""
    limit = (finished.root / "results/data/digits/dataset.json").stat().st_size
    images = list((finished.root / "results/data").rglob("*.npz"))
    assert images
    assert min(path.stat().st_size for path in images) > limit
    with touched(images):
        assert finished.plan(None, "--max-checksum-file-size", str(limit)).rules == {}


def test_everything_when_data_change(finished) -> None:
    """Pixels and checksums change, as when the dataset is prepared from other files."""
    info = finished.root / "results/data/digits/dataset.json"
    with finished.edited(str(info), '"train": "', '"train": "0'):
        assert finished.plan().rules == TRAINED + Counter(label_noise=2)


def test_nothing_when_only_the_machine_changes(finished, tiny) -> None:
    options = ["--profile", "profiles/gpus", "--set-threads", "train_pruned=2"]
    assert finished.plan({**tiny, "data_root": "elsewhere"}, *options).rules == {}


def test_more_seeds_train_only_the_new_cohort(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["replicates"] = 4
    plan = finished.plan(tiny)
    assert len(plan.training()) == 12
    assert all(message.endswith("seeds-2-3") for message in plan.training())
    assert plan.rules["el2n"] == plan.rules["label_noise"] == 2
    measured = [message for message in plan.messages if message.startswith("Measuring")]
    assert len(measured) == 8
    assert all(message.endswith("seeds-2-3") for message in measured)
    assert not plan.rules.keys() & {"train_stability", "tables_stability"}


def test_another_benchmark_trains_only_itself(finished, tiny) -> None:
    folder = finished.root / "config/benchmarks"
    text = (folder / "digits-lenet.yaml").read_text()
    (folder / "another.yaml").write_text(text)
    tiny["benchmarks"]["another"] = tiny["benchmarks"]["digits-lenet"]
    plan = finished.plan(tiny)
    (folder / "another.yaml").unlink()
    assert len(plan.training()) == 12
    assert all("another" in message for message in plan.training())
    assert plan.rules["tables_regularization"] == 1
    assert not plan.rules.keys() & {"train_stability", "prepare_dataset", "label_noise"}


def test_another_level_trains_only_that_level(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["levels"] = 3
    plan = finished.plan(tiny)
    new = Counter(train_pruned=2, train_extended=2, flatness=4)
    assert plan.rules == REGULARIZATION + new
    assert all("level 03" in message for message in plan.training())


def test_a_changed_setting_trains_what_depends_on_it(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["pruning"] = {"fraction": 0.5}
    assert finished.plan(tiny).rules == REGULARIZATION + Counter(train_pruned=4, flatness=2)


def test_another_way_to_prune_trains_only_itself(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["ablations"] = {
        "rewound": {"kind": "weights", "fraction": 0.36, "rewind": "weights"},
        "random-once": {"kind": "weights", "score": "random", "schedule": "one-shot"},
    }
    plan = finished.plan(tiny)
    # A figure is new, and with it a line of `rule all`.
    assert plan.rules["train_pruned"] == 8
    assert {message.split(": ")[1].split(",")[0] for message in plan.training()} == {
        "rewound",
        "random-once",
    }
    assert not plan.rules.keys() & {"label_noise", "el2n", "prepare_dataset"}


def test_examples_that_the_pruned_network_misclassifies_are_left_out(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["leave_out"] = {"without-wrong": {"by": "misclassified"}}
    plan = finished.plan(tiny)
    # Beside the four of the benchmark's own file; at two levels of noise, for two seeds.
    assert plan.rules["left_out"] == 5 * 2
    assert plan.rules["train_leave_out"] == 5 * 2 * 2
    assert all(": without-" in message for message in plan.training())
    assert not plan.rules.keys() & {"el2n", "prepare_dataset"}

    runs = "results/runs/regularization/digits-lenet/noise-40"
    own = f"{runs}/without-wrong/level-00/seeds-1-1"
    finished.succeed(f"{own}/run.json", "--configfile", finished.write(tiny))
    choice, meta = read_npz(
        finished.root / "results/left_out/digits-lenet/noise-40/without-wrong.npz",
        {"left_out": ("b", 2), "seeds": ("i", 1)},
    )
    pruned = f"{runs}/pruned/level-{meta['level']:02d}/seeds-0-1/examples.npz"
    correct = read_npz(finished.root / pruned, {"train_correct": ("b", 2)})[0]["train_correct"]
    np.testing.assert_array_equal(choice["left_out"], ~correct)
    examples = read_npz(finished.root / own / "examples.npz", {"left_out": ("b", 2)})[0]
    np.testing.assert_array_equal(examples["left_out"], ~correct[1:])


def test_other_noise_keeps_the_labels_that_are_there(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["noise_kind"] = "pair-flip"
    plan = finished.plan(tiny)
    assert plan.rules["label_noise"] == plan.rules["el2n"] == plan.rules["train_dense"] == 1
    assert all("40% noise" in message for message in plan.training())


def test_scoring_with_more_networks_only_scores(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["el2n"]["networks"] = 3
    assert finished.plan(tiny).rules == REGULARIZATION + Counter(el2n=2)


def test_flatness_settings_only_measure(finished, tiny) -> None:
    tiny["benchmarks"]["digits-vgg"]["flatness"]["examples"] = 16
    variants = finished.plan(tiny, "--forcerun", "train_stability").rules["train_stability"]
    assert variants >= 6
    assert finished.plan(tiny).rules == STABILITY + Counter(flatness=variants)


def test_flatness_of_more_levels_measures_these(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["flatness"]["every"] = 1
    plan = finished.plan(tiny)
    assert plan.rules == REGULARIZATION + Counter(flatness=4)
    measured = [message for message in plan.messages if message.startswith("Measuring")]
    assert all("level 01" in message for message in measured)


def test_flatness_that_is_no_longer_wanted_leaves_tables_and_figures(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["flatness"] = None
    rules = finished.plan(tiny).rules
    assert rules["tables_regularization"] == 1
    assert set(rules) <= {"tables_regularization", "figure", *SUMMARY}


def test_scoring_variants_with_more_networks_only_scores(finished, tiny) -> None:
    tiny["benchmarks"]["digits-vgg"]["el2n"]["networks"] = 3
    assert finished.plan(tiny).rules == STABILITY + Counter(el2n=1)


def test_swapped_values_train_both(finished, tiny) -> None:
    """The two settings trade places, so the set of values stays the same."""
    variants = tiny["benchmarks"]["digits-vgg"]["variants"]
    variants["s-slow"], variants["s-fast"] = variants["s-fast"], variants["s-slow"]
    plan = finished.plan(tiny)
    assert plan.rules == STABILITY + Counter(train_stability=2, flatness=2)
    assert {message.split(": ")[1].split(",")[0] for message in plan.training()} == {
        "s-slow",
        "s-fast",
    }


def test_a_duplicated_value_trains_what_got_it(finished, tiny) -> None:
    """No value is new: one becomes equal to another that the recipe has already."""
    variants = tiny["benchmarks"]["digits-vgg"]["variants"]
    variants["s-fast"]["first_epochs"] = [1, 1, 1]
    plan = finished.plan(tiny)
    assert plan.rules == STABILITY + Counter(train_stability=1, flatness=1)
    assert "s-fast" in plan.training()[0]


def test_a_dropped_benchmark_leaves_the_other_alone(finished, tiny) -> None:
    del tiny["benchmarks"]["digits-vgg"]
    assert not any(name.startswith("train") for name in finished.plan(tiny).rules)


def test_old_code_can_be_accepted(finished) -> None:
    """The documented switch: without the trigger `params`, results stand on old code."""
    with finished.edited("src/gst/models/lenet.py", *IDLE):
        assert finished.plan(None, "--rerun-triggers", "mtime", "input").rules == {}


def test_a_user_sees_the_reason_in_words(finished, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"]["pruning"] = {"fraction": 0.5}
    text = finished.succeed("-n", "all", "--configfile", finished.write(tiny))
    assert "Params have changed since last execution" in text
