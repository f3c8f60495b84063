"""The configuration that ships: it is sound, and the published one is what the papers say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from gst.__main__ import main
from gst.config import RegularizationBenchmark, Study, read_study
from gst.config.docs import STUDIES, document
from gst.datasets import whole
from gst.recipe import LeaveOut

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    return {name: read_study(CONFIG / f"{name}.yaml") for name in STUDIES}


def test_every_shipped_benchmark_is_listed_in_a_study(studies: dict[str, Study]) -> None:
    listed = {f"{name}.yaml" for study in studies.values() for name in study.benchmarks}
    assert listed == {file.name for file in (CONFIG / "benchmarks").iterdir()}


def test_every_shipped_study_is_documented() -> None:
    files = {file.stem for file in CONFIG.glob("*.yaml")} - {"claims"}
    assert files == set(STUDIES)


def test_the_default_study_is_small(studies: dict[str, Study]) -> None:
    study = studies["config"]
    jobs = len(study.runs()) + len(study.el2n()) + len(study.flatness())
    assert jobs <= 200
    assert {benchmark.study for benchmark in study.benchmarks.values()} == {
        "regularization",
        "stability",
    }
    sources = [study.datasets[benchmark.dataset] for benchmark in study.benchmarks.values()]
    assert {whole(source).kind for source in sources} == {"digits"}


def test_the_experiments_on_digits_are_small(studies: dict[str, Study]) -> None:
    study = studies["experiments-digits"]
    assert len(study.runs()) <= 100
    assert {benchmark.dataset for benchmark in study.benchmarks.values()} == {"digits-500"}
    assert max(benchmark.training.epochs for benchmark in study.benchmarks.values()) <= 60


ABLATIONS: dict[str, dict[str, str]] = {
    "rewound": {"rewind": "weights"},
    "one-shot": {"schedule": "one-shot"},
    "layerwise": {"scope": "layer"},
    "random": {"score": "random"},
    "largest": {"score": "largest"},
    "snip": {"score": "snip"},
    "synflow": {"score": "synflow"},
}
ABLATED = "mnist-lenet", "cifar10-resnet20", "cifar10-vgg16"


def test_an_ablation_differs_from_pruning_in_one_choice(studies: dict[str, Study]) -> None:
    benchmarks = [studies["paper"].benchmarks[name] for name in ABLATED]
    benchmarks += studies["ablations-digits"].benchmarks.values()
    for benchmark in benchmarks:
        assert isinstance(benchmark, RegularizationBenchmark)
        assert benchmark.ablations == {
            name: benchmark.pruning.model_copy(update=change) for name, change in ABLATIONS.items()
        }
    assert all("ablations" in studies["paper"].benchmarks[name].inferred for name in ABLATED)
    assert len(studies["ablations-digits"].runs()) <= 140


def test_reduced_benchmarks_say_so(studies: dict[str, Study]) -> None:
    for name, study in studies.items():
        expected = (
            "published" if name in ("paper", "mnist", "mnist-clean", "imagenet") else "reduced"
        )
        published = {*studies["paper"].benchmarks, *studies["imagenet"].benchmarks}
        for benchmark in study.benchmarks.values():
            assert benchmark.scale == expected
            assert set(benchmark.stands_for) <= published
            assert bool(benchmark.stands_for) == (expected == "reduced")


def test_the_pilot_covers_every_algorithm_on_mnist(studies: dict[str, Study]) -> None:
    (benchmark,) = studies["pilot"].benchmarks.values()
    assert isinstance(benchmark, RegularizationBenchmark)
    source = studies["pilot"].datasets[benchmark.dataset]
    assert (source.kind, source.of.kind, source.train) == ("subset", "mnist", 10000)
    assert benchmark.network.name == "lenet"
    assert benchmark.noise == (0, 15)
    assert benchmark.replicates == 3
    assert set(benchmark.methods) == {"pruned", "extended", "width"}
    assert (1 - benchmark.pruning.fraction) ** benchmark.levels < 0.01


# model, dataset, lr, momentum (None: Adam), decay, epochs, milestones, batch, warm-up, rewind,
# noise; from the table of benchmarks and the text of the regularization study.
CIFAR = 0.1, 0.9, 1e-4, 160, (80, 120), 128, 0, 10, (0, 15, 30, 60)
REGULARIZATION: dict[str, tuple[Any, ...]] = {
    "mnist-lenet": ("lenet", "mnist", 0.0012, None, 0, 50, (), 60, 0, 0, (0, 5, 10, 15)),
    "mnist-lenet-sgd": ("lenet", "mnist", 0.1, 0, 0, 40, (), 128, 0, 0, (0, 5, 10, 15)),
    "cifar10-resnet20": ("resnet20", "cifar10", *CIFAR),
    "cifar10-vgg16": ("vgg16", "cifar10", *CIFAR),
    "cifar100-resnet32": ("resnet32", "cifar100", *CIFAR),
    "imagenet-resnet50": (
        *("resnet50", "imagenet", 0.4, 0.9, 1e-4, 90, (30, 60, 80), 1024, 5, 10),
        (0, 15),
    ),
}
KEEPS_LAST_LAYER = {"mnist-lenet", "mnist-lenet-sgd", "cifar10-vgg16"}
AUGMENTED = {"cifar10-resnet20", "cifar10-vgg16", "cifar100-resnet32"}


@pytest.mark.parametrize(("name", "row"), REGULARIZATION.items(), ids=REGULARIZATION)
def test_regularization_benchmarks_are_the_published_ones(
    studies: dict[str, Study], name: str, row: tuple[Any, ...]
) -> None:
    benchmark = {**studies["paper"].benchmarks, **studies["imagenet"].benchmarks}[name]
    assert isinstance(benchmark, RegularizationBenchmark)
    training, optimiser = benchmark.training, benchmark.training.optimiser
    assert row == (
        benchmark.network.name,
        benchmark.dataset,
        optimiser.lr,
        optimiser.momentum if optimiser.kind == "sgd" else None,
        optimiser.weight_decay,
        training.epochs,
        training.milestones,
        training.batch_size,
        training.warmup_epochs,
        benchmark.rewind_epoch,
        benchmark.noise,
    )
    assert training.gamma == 0.1
    streamed = "resized-crop" if name == "imagenet-resnet50" else "none"
    assert training.augment == ("flip-crop" if name in AUGMENTED else streamed)
    assert benchmark.network.init == "openlth"
    assert benchmark.network.keep_last_layer == (name in KEEPS_LAST_LAYER)
    assert benchmark.replicates == 3
    assert benchmark.methods == ("pruned", "extended", "width")
    assert (benchmark.pruning.fraction, benchmark.pruning.score) == (0.2, "magnitude")
    assert benchmark.width_factor == 0.8
    assert (benchmark.el2n.networks, benchmark.subgroups) == (10, 20)
    assert name == "imagenet-resnet50" or benchmark.levels >= 22
    assert {examples.by for examples in (benchmark.leave_out or {}).values()} == set(
        get_args(LeaveOut.model_fields["by"].annotation)
    )


def test_the_number_of_published_runs(studies: dict[str, Study]) -> None:
    # Each noise level: the dense network, 22 levels pruned and extended, and the widths; for three
    # benchmarks, 22 levels of seven ablations, and for two of them a network to rewind to; five
    # dense networks without some examples, each of three seeds by itself. The
    # stability study: two cohorts of 66 variants, one of 22 (figure 3) and 1 (figure B1), ten of 4
    # (table F.1).
    per_noise = [(4, 20), (4, 20), (4, 11), (4, 11), (4, 11)]
    regularization = sum(levels * (1 + 22 + 22 + widths + 5 * 3) for levels, widths in per_noise)
    regularization += 4 * (3 * 7 * 22 + 2)
    stability = 2 * 66 + 22 + 1 + 10 * 4
    assert len(studies["paper"].runs()) == regularization + stability
    assert len(studies["paper"].el2n()) == 5 * 4 + 2
    # Every third level and the last, 22nd: 8 of pruning and of extended training, 7 of 20 widths,
    # 4 of 11, and the dense network.
    levels = sum(noises * (1 + 8 + 8 + {20: 7, 11: 4}[widths]) for noises, widths in per_noise)
    assert len(studies["paper"].flatness()) == levels + 2 * 6
    assert len(studies["paper"].activations()) == 1


def test_the_documentation_is_current() -> None:
    assert (CONFIG / "README.md").read_text() == document(CONFIG), (
        "run: python -m gst config docs > config/README.md"
    )


def test_every_key_is_explained() -> None:
    rows = [line.split(" | ") for line in document(CONFIG).splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert all(meaning.strip(" |") for *_, meaning in rows)


def test_commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIG.parent)
    assert main(["config", "docs"]) == 0
    assert capsys.readouterr().out == (CONFIG / "README.md").read_text()
    assert main(["config", "check", "config/config.yaml"]) == 0
    assert "no fault; 2 benchmarks" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("nme: a\n")
    assert main(["config", "check", str(bad)]) == 1
    assert f"{bad}: nme: unknown key; did you mean name?" in capsys.readouterr().err


def test_schemas_describe_both_sorts_of_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    study = json.loads(capsys.readouterr().out)
    assert set(study["required"]) == {"name", "benchmarks"}
    assert main(["config", "schema", "benchmark"]) == 0
    benchmark = json.loads(capsys.readouterr().out)
    assert set(benchmark["discriminator"]["mapping"]) == {"regularization", "stability"}


def test_checking_does_not_import_torch() -> None:
    code = (
        "import sys; from gst.__main__ import main; "
        "assert main(['config', 'check', sys.argv[1]]) == 0; "
        "assert not {'torch', 'pandas', 'scipy'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, str(CONFIG / "paper.yaml")]
    subprocess.run(command, check=True, capture_output=True)
