"""The shipped benchmarks of the stability study against the table of its protocol.

Every number here is written by hand, or follows from the protocol's formulas in integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gst.config import StabilityBenchmark, read_study
from gst.recipe import FilterNoise, FilterPruning, ScratchPruning

CONFIG = Path(__file__).parents[2] / "config"
PUBLISHED = {
    name: benchmark
    for name, benchmark in read_study(CONFIG / "paper.yaml").benchmarks.items()
    if isinstance(benchmark, StabilityBenchmark)
}
TWINS = read_study(CONFIG / "experiments-digits.yaml").benchmarks

# Filters of every prunable convolution, in network order.
VGG11 = (64, 128, 256, 256, 512, 512, 512, 512)
RESNET18 = (64,) * 4 + (128,) * 4 + (256,) * 4 + (512,) * 4
RESNET20 = (16,) * 6 + (32,) * 6 + (64,) * 6
RESNET56 = (16,) * 18 + (32,) * 18 + (64,) * 18

# Epochs, milestones, augmentation and optimiser: kind, learning rate, momentum, weight decay.
MAIN = (325, (150, 300), "none", ("adam", 0.001, None, 0.0))
TRADITIONAL = (165, (83, 125), "flip-crop", ("sgd", 0.1, 0.9, 0.0001))
LONG = (4000, (2000,), "flip-crop", ("adam", 0.0001, None, 0.0))


@dataclass(frozen=True)
class Row:
    """What the protocol says of one benchmark.

    percents, first and last: an entry for each of the last convolutions, or one for all of them.
    pruned: target and period of each variant; noise: kind, batches and which filters are hit.
    """

    network: tuple[str, str, float]
    filters: tuple[int, ...] = ()
    training: tuple[Any, ...] = MAIN
    dataset: str = "cifar10"
    replicates: int = 10
    percents: tuple[int, ...] | int = ()
    first: tuple[int, ...] | int = ()
    last: tuple[int, ...] | int = ()
    score: str = "l2"
    pruned: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    noise: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    figures: dict[str, str] = field(default_factory=dict)


VGG: dict[str, Any] = {
    "network": ("vgg11", "he", 0.0),
    "filters": VGG11,
    "percents": (30, 30, 30, 90),
    "first": (3, 4, 5, 6),
    "last": (150, 150, 150, 275),
}
RESNET: dict[str, Any] = {
    "network": ("resnet18", "pytorch", 0.0),
    "filters": RESNET18,
    "percents": (25, 40, 25, 95),
    "first": (7, 8, 9, 10),
    "last": (150, 150, 170, 275),
    "score": "activations",
}
TRIO = {"s-slow": ("S", 4), "s-fast": ("S", 40), "l-fast": ("L", 40)}
PAIR = {"s-fast": ("S", 40), "l-fast": ("L", 40)}
FIG4: dict[str, Any] = {
    "training": TRADITIONAL,
    "percents": 10,
    "first": 40,
    "last": 100,
    "score": "l1",
    "pruned": {"s-3": ("S", 30), "s-5": ("S", 60)},
    "figures": {"stability_fig4": "stability_accuracy", "stability_fig4_gap": "stability_gap"},
}
CONDITIONS = {"stability_conditions": "stability_means"}
TABLE = {
    "cifar10-vgg11": Row(
        **VGG,
        pruned={**TRIO, "r-fast": ("R", 40)},
        others=("none", "scratch"),
        figures={
            "stability_fig2": "stability_accuracy",
            "stability_fig2_curves": "stability_curves",
            "stability_fig6": "stability_flatness",
            "stability_figE1": "stability_spectra",
            "stability_figE_scans": "stability_scans",
            "stability_subgroups": "stability_subgroups",
            "stability_accounts": "stability_accounts",
        },
    ),
    "cifar10-resnet18": Row(
        **RESNET,
        pruned=TRIO,
        others=("none",),
        figures={
            "stability_fig2": "stability_accuracy",
            "stability_fig2_curves": "stability_curves",
        },
    ),
    "cifar10-vgg11-rates": Row(
        **VGG,
        replicates=5,
        pruned={
            f"{target.lower()}-{period or 'once'}": (target, period)
            for target in "SRL"
            for period in (4, 20, 40, 60, 100, 200, None)
        },
        others=("none",),
        figures={"stability_fig3": "stability_rates"},
    ),
    "cifar10-resnet18-sgd": Row(("resnet18", "pytorch", 0.0), RESNET18, **FIG4),
    "cifar10-resnet20-sgd": Row(("resnet20-a", "he", 0.0), RESNET20, **FIG4),
    "cifar10-resnet56-sgd": Row(("resnet56-a", "he", 0.0), RESNET56, **FIG4),
    "cifar10-vgg11-noise": Row(
        **VGG,
        pruned={"l-fast": ("L", 40)},
        noise={
            "zero-1": ("zero", 1, "newest"),
            "zero-50": ("zero", 50, "newest"),
            "zero-1105": ("zero", 1105, "newest"),
            "gaussian-1": ("gaussian", 1, "newest"),
            "gaussian-50": ("gaussian", 50, "newest"),
            "gaussian-1105": ("gaussian", 1105, "newest"),
        },
        others=("none",),
        figures={"stability_fig5": "stability_noise"},
    ),
    "cifar10-vgg19-activations": Row(
        ("vgg19", "he", 0.0),
        replicates=1,
        others=("none",),
        figures={"stability_figB1": "stability_activations"},
    ),
    "cifar10-vgg11-ebn": Row(
        **{**VGG, "score": "ebn"}, pruned=TRIO, figures={"stability_figB2": "stability_accuracy"}
    ),
    "cifar10-resnet18-ebn": Row(
        **{**RESNET, "score": "ebn_alt", "first": (3, 4, 5, 6)},
        pruned=TRIO,
        figures={"stability_figB2": "stability_accuracy"},
    ),
    "cifar10-resnet18-59": Row(
        **{**RESNET, "percents": (25, 80, 25, 95)},
        pruned=TRIO,
        others=("none",),
        figures={"stability_tableC1": "stability_means"},
    ),
    "cifar10-resnet18-early": Row(
        ("resnet18", "pytorch", 0.0),
        RESNET18,
        TRADITIONAL,
        percents=10,
        first=24,
        last=100,
        score="l1",
        pruned={"s-10": ("S", 1)},
        others=("none", "s-6"),
        figures={"stability_figC3": "stability_means"},
    ),
    "cifar10-vgg11-return": Row(
        **VGG,
        pruned={"l-fast": ("L", 40)},
        noise={
            "return-89": ("restore", 89, "cumulative"),
            "return-630": ("restore", 630, "cumulative"),
            "return-1220": ("restore", 1220, "cumulative"),
            "return-2480": ("restore", 2480, "cumulative"),
        },
        others=("none",),
        figures={"stability_figD2": "stability_noise"},
    ),
    "cifar100-resnet18": Row(
        ("resnet18", "pytorch", 0.0),
        RESNET18,
        LONG,
        dataset="cifar100",
        percents=(70,),
        first=(2500,),
        last=(3500,),
        score="l1",
        pruned={"s": ("S", 750), "l": ("L", 750)},
        others=("none", "scratch"),
        figures={"stability_tableF1": "stability_means"},
    ),
    "cifar10-vgg11-comparators": Row(
        **VGG,
        pruned=PAIR,
        others=(
            *("none", "gradual-s", "gradual-l", "dense-sparse-dense"),
            *("simple-s", "simple-l", "less-s", "less-l"),
        ),
        figures={"stability_comparators": "stability_means"},
    ),
    "cifar10-vgg11-decay": Row(
        **VGG,
        training=(*MAIN[:3], ("adam", 0.001, None, 0.0005)),
        pruned=PAIR,
        others=("none",),
        figures=CONDITIONS,
    ),
    "cifar10-vgg11-augmented": Row(
        **VGG,
        training=(*MAIN[:2], "flip-crop", MAIN[3]),
        pruned=PAIR,
        others=("none",),
        figures=CONDITIONS,
    ),
    "cifar10-vgg11-dropout": Row(
        **{**VGG, "network": ("vgg11", "he", 0.5)},
        pruned=PAIR,
        others=("none",),
        figures=CONDITIONS,
    ),
    "cifar10-vgg11-sgd": Row(
        **VGG,
        training=(*MAIN[:3], ("sgd", 0.1, 0.9, 0.0)),
        pruned=TRIO,
        others=("none",),
        figures=CONDITIONS,
    ),
}
ROWS = pytest.mark.parametrize("name", TABLE)
LAST_FOUR = {  # variant: number of pruning events of each of the last four convolutions
    ("cifar10-vgg11", "s-slow"): (37, 37, 37, 68),
    ("cifar10-vgg11", "s-fast"): (4, 4, 4, 7),
    ("cifar10-resnet18", "s-slow"): (36, 36, 41, 67),
    ("cifar10-resnet18", "l-fast"): (4, 4, 5, 7),
    ("cifar10-resnet18-ebn", "s-slow"): (37, 37, 42, 68),
    ("cifar10-resnet18-ebn", "l-fast"): (4, 4, 5, 7),
    ("cifar10-vgg11-rates", "s-4"): (37, 37, 37, 68),
    ("cifar10-vgg11-rates", "r-20"): (8, 8, 8, 14),
    ("cifar10-vgg11-rates", "l-40"): (4, 4, 4, 7),
    ("cifar10-vgg11-rates", "s-60"): (3, 3, 3, 5),
    ("cifar10-vgg11-rates", "r-100"): (2, 2, 2, 3),
    ("cifar10-vgg11-rates", "l-200"): (1, 1, 1, 2),
    ("cifar10-vgg11-rates", "s-once"): (1, 1, 1, 1),
}
VGG_FAST = [
    {3: 474, 43: 436, 83: 398, 123: 359},
    {4: 474, 44: 436, 84: 398, 124: 359},
    {5: 474, 45: 436, 85: 398, 125: 359},
    {6: 447, 46: 381, 86: 315, 126: 250, 166: 184, 206: 118, 246: 52},
]
KEPT = {  # variant: filters that each of the last convolutions keeps after the events' epochs
    ("cifar10-vgg11", "l-fast"): VGG_FAST,
    ("cifar10-vgg11-noise", "zero-50"): VGG_FAST,
    ("cifar10-vgg11-return", "return-89"): VGG_FAST,
    ("cifar10-vgg11-ebn", "s-fast"): VGG_FAST,
    ("cifar10-resnet18", "s-fast"): [
        {7: 480, 47: 448, 87: 416, 127: 384},
        {8: 461, 48: 410, 88: 359, 128: 308},
        {9: 487, 49: 461, 89: 436, 129: 410, 169: 384},
        {10: 443, 50: 374, 90: 304, 130: 235, 170: 165, 210: 96, 250: 26},
    ],
    ("cifar10-resnet18-59", "l-fast"): [
        {7: 480, 47: 448, 87: 416, 127: 384},
        {8: 410, 48: 308, 88: 206, 128: 103},
        {9: 487, 49: 461, 89: 436, 129: 410, 169: 384},
        {10: 443, 50: 374, 90: 304, 130: 235, 170: 165, 210: 96, 250: 26},
    ],
    ("cifar10-vgg11-rates", "s-60"): [
        {3: 461, 63: 410, 123: 359},
        {4: 461, 64: 410, 124: 359},
        {5: 461, 65: 410, 125: 359},
        {6: 420, 66: 328, 126: 236, 186: 144, 246: 52},
    ],
    ("cifar10-vgg11-rates", "r-100"): [
        {3: 436, 103: 359},
        {4: 436, 104: 359},
        {5: 436, 105: 359},
        {6: 359, 106: 206, 206: 52},
    ],
    ("cifar10-vgg11-rates", "l-200"): [{3: 359}, {4: 359}, {5: 359}, {6: 282, 206: 52}],
    ("cifar10-vgg11-rates", "l-once"): [{3: 359}, {4: 359}, {5: 359}, {6: 52}],
    ("cifar10-resnet18-sgd", "s-3"): [
        *[{40: 62, 70: 60, 100: 58}] * 4,
        *[{40: 124, 70: 120, 100: 116}] * 4,
        *[{40: 248, 70: 240, 100: 231}] * 4,
        *[{40: 495, 70: 478, 100: 461}] * 4,
    ],
    ("cifar10-resnet20-sgd", "s-5"): [
        *[{40: 16, 100: 15}] * 6,
        *[{40: 31, 100: 29}] * 6,
        *[{40: 61, 100: 58}] * 6,
    ],
    ("cifar10-resnet56-sgd", "s-3"): [
        *[{40: 16, 70: 16, 100: 15}] * 18,
        *[{40: 31, 70: 30, 100: 29}] * 18,
        *[{40: 62, 70: 60, 100: 58}] * 18,
    ],
    ("cifar100-resnet18", "l"): [{2500: 333, 3250: 154}],
    ("cifar10-vgg11-comparators", "simple-s"): [
        {3: 60, 43: 55, 83: 50, 123: 45},
        {3: 119, 43: 109, 83: 100, 123: 90},
        *[{3: 237, 43: 218, 83: 199, 123: 180}] * 2,
        *[{3: 474, 43: 436, 83: 398, 123: 359}] * 4,
    ],
    ("cifar10-vgg11-comparators", "less-l"): [
        {3: 493, 43: 474, 83: 455, 123: 436},
        {4: 493, 44: 474, 84: 455, 124: 436},
        {5: 493, 45: 474, 85: 455, 125: 436},
        {6: 480, 46: 447, 86: 414, 126: 381, 166: 348, 206: 315, 246: 282},
    ],
}


def kept_by_the_formula(
    filters: int, percent: int, first: int, last: int, period: int | None
) -> dict[int, int]:
    """Return the filters that stay after each event's epoch; all in integers."""
    final = -(-(100 - percent) * filters // 100)
    epochs = [first] if period is None else list(range(first, last + 1, period))
    n = len(epochs)
    return {
        epoch: -(-(final * i + filters * (n - i)) // n) for i, epoch in enumerate(epochs, start=1)
    }


def kept(variant: FilterPruning | FilterNoise, filters: tuple[int, ...]) -> list[dict[int, int]]:
    """Return the same of a benchmark's variant, for each layer that it hits."""
    count = variant.layers or len(filters)
    return [
        {epoch: variant.kept(layer, size, i) for i, epoch in enumerate(variant.events(layer), 1)}
        for layer, size in enumerate(filters[-count:])
    ]


def scheduled(row: Row) -> Iterator[tuple[str, str, int | None, str, tuple[str, int, str] | None]]:
    """Yield variant, target, period, kind and noise of what follows the row's schedule."""
    for name, (target, period) in row.pruned.items():
        yield name, target, period, "filters", None
    for name, noise in row.noise.items():
        yield name, "L", 40, "noise", noise


def test_every_row_of_the_protocol_is_there_and_nothing_else() -> None:
    assert set(TABLE) == set(PUBLISHED)


@ROWS
def test_the_training_is_the_published_one(name: str) -> None:
    row, benchmark = TABLE[name], PUBLISHED[name]
    network, training = benchmark.network, benchmark.training
    optimiser = training.optimiser
    assert (network.name, network.init, network.dropout) == row.network
    assert (network.width, benchmark.dataset) == (1, row.dataset)
    assert row.training == (
        training.epochs,
        training.milestones,
        training.augment,
        (
            optimiser.kind,
            optimiser.lr,
            optimiser.momentum if optimiser.kind == "sgd" else None,
            optimiser.weight_decay,
        ),
    )
    assert (training.batch_size, training.gamma, training.warmup_epochs) == (128, 0.1, 0)
    assert training.precision == "float32"
    assert training.input_std == (None if name.startswith("cifar100") else (0.2023, 0.1994, 0.2010))
    assert (benchmark.replicates, benchmark.scale) == (row.replicates, "published")
    assert benchmark.figures == row.figures


@ROWS
def test_the_variants_prune_when_and_what_the_protocol_says(name: str) -> None:
    row, variants = TABLE[name], PUBLISHED[name].variants
    assert set(variants) == {*row.pruned, *row.noise, *row.others}
    assert variants.get("none") is None
    for variant, target, period, kind, noise in scheduled(row):
        found = variants[variant]
        assert isinstance(found, FilterPruning | FilterNoise)
        assert (found.kind, found.target, found.score) == (kind, target, row.score)
        if isinstance(found, FilterNoise):
            assert noise == (found.noise, found.batches, found.hits)
        if isinstance(row.percents, int):
            layers = [(row.percents, row.first, row.last)] * len(row.filters)
        else:
            layers = list(zip(row.percents, row.first, row.last, strict=True))
        assert kept(found, row.filters) == [
            kept_by_the_formula(filters, *layer, period)
            for filters, layer in zip(row.filters[-len(layers) :], layers, strict=True)
        ]


@pytest.mark.parametrize(("name", "variant"), LAST_FOUR)
def test_the_number_of_events(name: str, variant: str) -> None:
    found = PUBLISHED[name].variants[variant]
    assert isinstance(found, FilterPruning)
    assert tuple(len(found.events(layer)) for layer in range(4)) == LAST_FOUR[name, variant]


@pytest.mark.parametrize(("name", "variant"), KEPT)
def test_kept_filters_by_hand(name: str, variant: str) -> None:
    found = PUBLISHED[name].variants[variant]
    assert isinstance(found, FilterPruning | FilterNoise)
    assert kept(found, TABLE[name].filters) == KEPT[name, variant]


def test_pruning_early_removes_six_or_ten_percent_in_77_epochs() -> None:
    variants = PUBLISHED["cifar10-resnet18-early"].variants
    for name, ends in (("s-10", (58, 116, 231, 461)), ("s-6", (61, 121, 241, 482))):
        found = variants[name]
        assert isinstance(found, FilterPruning)
        assert (found.target, found.score) == ("S", "l1")
        counts = kept(found, RESNET18)
        assert [layer[100] for layer in counts] == [end for end in ends for _ in range(4)]
        assert all(list(layer) == list(range(24, 101)) for layer in counts)


def test_scratch_pruning_removes_what_the_schedule_would() -> None:
    fractions = {
        "cifar10-vgg11": ((0.3, 0.3, 0.3, 0.9), "l2"),
        "cifar100-resnet18": ((0.7,), "l1"),
    }
    for name, expected in fractions.items():
        scratch = PUBLISHED[name].variants["scratch"]
        assert isinstance(scratch, ScratchPruning)
        assert (scratch.fractions, scratch.score) == expected


def test_the_comparators_that_are_not_structured() -> None:
    variants = PUBLISHED["cifar10-vgg11-comparators"].variants
    plain = {
        name: variant.model_dump(exclude_defaults=True)
        for name in ("gradual-s", "gradual-l", "dense-sparse-dense")
        if (variant := variants[name])
    }
    gradual = {
        "kind": "gradual", "fraction": 0.42, "first_epoch": 6, "last_epoch": 275, "period": 40,
    }  # fmt: skip
    assert plain == {
        "gradual-s": {**gradual, "target": "S"},
        "gradual-l": {**gradual, "target": "L"},
        "dense-sparse-dense": {
            "kind": "dense-sparse-dense", "fraction": 0.42, "sparse_epoch": 6, "dense_epoch": 275,
        },
    }  # fmt: skip
    for pair in ("gradual", "simple", "less"):
        small, large = variants[f"{pair}-s"], variants[f"{pair}-l"]
        assert small is not None and large is not None
        assert small.model_copy(update={"target": "L"}) == large


def test_noise_ends_before_the_layer_is_hit_again() -> None:
    steps = -(-50_000 // 128)
    assert steps == 391
    for row in TABLE.values():
        assert all(batches < 40 * steps for _, batches, _ in row.noise.values())


def test_flatness_and_activations_are_measured_as_published() -> None:
    measured = {name: b.flatness for name, b in PUBLISHED.items() if b.flatness}
    assert set(measured) == {"cifar10-vgg11"}
    flatness = measured["cifar10-vgg11"]
    assert (flatness.epoch, flatness.examples) == (315, 512)
    assert (flatness.k, flatness.directions) == (100, 10)
    observed = {name: b.activations for name, b in PUBLISHED.items() if b.activations}
    assert {name: a.examples for name, a in observed.items()} == {"cifar10-vgg19-activations": 512}


@ROWS
def test_what_the_paper_leaves_open_is_marked(name: str) -> None:
    inferred = set(PUBLISHED[name].inferred)
    own = {
        "cifar10-vgg11": {"el2n"},
        "cifar10-vgg19-activations": {"training", "replicates", "activations"},
        "cifar10-vgg11-decay": {"training.optimiser.weight_decay"},
        "cifar10-vgg11-augmented": {"training.augment"},
        "cifar10-vgg11-dropout": {"network.dropout"},
        "cifar10-vgg11-sgd": {"training.optimiser"},
        "cifar10-vgg11-comparators": {
            f"variants.{variant}" for variant in TABLE[name].others if variant != "none"
        },
    }.get(name, set())
    assert inferred == own | ({"network.init"} if "vgg" in name else set())


@ROWS
def test_every_experiment_has_a_twin_on_digits(name: str) -> None:
    published = PUBLISHED[name]
    (twin,) = [one for one in TWINS.values() if name in one.stands_for]
    assert isinstance(twin, StabilityBenchmark)
    assert twin.figures == published.figures
    assert list(twin.variants) == list(published.variants)
    for variant, own in twin.variants.items():
        other = published.variants[variant]
        for setting in ("kind", "target", "score", "noise", "hits"):
            assert getattr(own, setting, None) == getattr(other, setting, None)
    assert bool(twin.flatness) == bool(published.flatness)
    assert bool(twin.el2n) == bool(published.el2n)
    assert bool(twin.activations) == bool(published.activations)
    assert twin.network.dropout == published.network.dropout
    assert twin.training.optimiser.kind == published.training.optimiser.kind
    assert twin.training.optimiser.weight_decay == published.training.optimiser.weight_decay
