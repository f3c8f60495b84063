"""What must hold between the settings of a benchmark.

A check names the settings that it needs as its arguments: fields of the benchmark, `datasets`
(all that are known), `published` (names of the benchmark files) and `data` (the benchmark as it
is written); a check of the study, `datasets` and `benchmarks` (those without a fault). A setting
of which a part has a fault lacks that part.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, get_args

from gst.config.benchmarks import (
    SCORES,
    Benchmark,
    El2n,
    LevelFlatness,
    Method,
    RegularizationBenchmark,
    StabilityBenchmark,
    Variant,
)
from gst.config.faults import Fault, Steps, nearest
from gst.config.reading import objections
from gst.datasets import SOURCES, DatasetSource, reader, streamed
from gst.layout import EARLY, percent_text
from gst.recipe import (
    Activations,
    DenseSparseDense,
    Flatness,
    FlatnessSettings,
    GradualPruning,
    LabelNoise,
    LeaveOut,
    Network,
    NoiseKind,
    Recipe,
    ScratchPruning,
    Training,
    WeightPruning,
    final_filters,
)
from gst.registry import entries, find

MODELS = "gst.models"
FIGURES = "gst.figures"

Faults = Iterator[Fault]
Check = Callable[..., Faults]


def run_checks(checks: Collection[Check], values: Mapping[str, Any]) -> Faults:
    """Run the checks, except those that need a value with a fault of its own."""
    for check in checks:
        names = inspect.signature(check).parameters
        if values.keys() >= names.keys():
            with suppress(AttributeError):
                yield from check(**{name: values[name] for name in names})


def _registered(package: str, name: str, *path: str | int) -> Faults:
    try:
        find(package, name)
    except KeyError as error:
        yield Fault(path, error.args[0])


def _recipe(path: Steps, training: Training, **settings: Any) -> Faults:
    """Yield what a recipe has against settings that are sound by themselves."""
    recipe = Recipe.model_construct(training=training, **settings)
    for objection in objections(Recipe, recipe):
        yield Fault(path, objection)


def _source_is_registered(datasets: Mapping[str, DatasetSource]) -> Faults:
    for name, source in datasets.items():
        with suppress(AttributeError):
            yield from _registered(SOURCES, reader(source)[0], "datasets", name)


def _dataset_is_known(dataset: str, datasets: Collection[str]) -> Faults:
    if dataset not in datasets:
        near = nearest(dataset, datasets) or "."
        yield Fault(("dataset",), f"no dataset {dataset!r}{near} Known: {', '.join(datasets)}")


def _augmentation_fits(
    dataset: str, datasets: Mapping[str, DatasetSource], training: Training
) -> Faults:
    if dataset not in datasets:
        return
    wrong = "flip-crop" if streamed(datasets[dataset]) else "resized-crop"
    if training.augment == wrong:
        kind = "streamed" if streamed(datasets[dataset]) else "in memory"
        yield Fault(
            ("training", "augment"), f"{wrong} is not for {dataset}, whose images are {kind}"
        )


def _dropout_is_of_images_in_memory(
    dataset: str, datasets: Mapping[str, DatasetSource], network: Network
) -> Faults:
    if network.dropout and dataset in datasets and streamed(datasets[dataset]):
        yield Fault(
            ("network", "dropout"),
            f"found {network.dropout:g}; needed: 0, since the images of {dataset} are streamed to "
            "processes that would each drop units of their own",
        )


def _flatness_is_of_images_in_memory(
    dataset: str, datasets: Mapping[str, DatasetSource], flatness: FlatnessSettings | None
) -> Faults:
    if flatness and dataset in datasets and streamed(datasets[dataset]):
        yield Fault(("flatness",), f"needs images in memory; those of {dataset} are streamed")


def _activations_are_of_images_in_memory(
    dataset: str,
    datasets: Mapping[str, DatasetSource],
    activations: Activations | None,
    variants: Mapping[str, Variant | None],
) -> Faults:
    if dataset not in datasets or not streamed(datasets[dataset]):
        return
    if activations:
        yield Fault(("activations",), f"needs images in memory; those of {dataset} are streamed")
    for name, variant in variants.items():
        score = variant and entries(SCORES[variant.kind]).get(variant.score)
        if score and score.facts.get("watches"):
            yield Fault(
                ("variants", name, "score"),
                f"{score.name} watches whole batches; those of {dataset} are streamed",
            )


def _gradients_are_of_images_in_memory(
    dataset: str,
    datasets: Mapping[str, DatasetSource],
    pruning: WeightPruning,
    ablations: dict[str, WeightPruning] | None,
) -> Faults:
    if dataset not in datasets or not streamed(datasets[dataset]):
        return
    for path, chain in _chains(pruning, ablations):
        score = entries(SCORES[chain.kind]).get(chain.score)
        if score and score.facts.get("gradient"):
            yield Fault(
                (*path, "score"),
                f"{chain.score} needs images in memory; those of {dataset} are streamed",
            )


def _model_is_registered(network: Network) -> Faults:
    yield from _registered(MODELS, network.name, "network", "name")


def _cohorts_are_whole(replicates: int, cohort: int) -> Faults:
    if replicates % cohort:
        yield Fault(
            ("replicates",),
            f"found {replicates}; needed: a multiple of cohort, which is {cohort}",
        )


def _inferred_keys_exist(inferred: tuple[str, ...], data: Mapping[str, Any]) -> Faults:
    for place, key in enumerate(inferred):
        inside: object = data
        for step in key.split("."):
            inside = inside.get(step) if isinstance(inside, Mapping) else None
        if inside is None:
            yield Fault(("inferred", place), f"{key} is not among the benchmark's settings")


def _published_benchmarks_exist(stands_for: tuple[str, ...], published: Collection[str]) -> Faults:
    for place, name in enumerate(stands_for):
        if name not in published:
            yield Fault(("stands_for", place), f"no benchmark {name!r}{nearest(name, published)}")


def _figures_have_one_kind(benchmarks: Mapping[str, Benchmark]) -> Faults:
    seen: dict[str, tuple[str, str]] = {}
    for name, benchmark in benchmarks.items():
        for figure, kind in (benchmark.figures or {}).items():
            first, expected = seen.setdefault(figure, (name, kind))
            if kind != expected:
                yield Fault(
                    ("benchmarks", name, "figures", figure),
                    f"found {kind}; needed: {expected}, as in {first}, since it is one figure",
                )


def _figures_fit(
    figures: Mapping[str, str] | None, study: str, has: Callable[[str], bool]
) -> Faults:
    kinds = entries(FIGURES)
    for figure, kind in (figures or {}).items():
        path = ("figures", figure)
        yield from _registered(FIGURES, kind, *path)
        if not figure.startswith(f"{study}_"):
            yield Fault(path, f"the name of a figure of this study begins with {study}_")
        elif figure in kinds and figure != kind:
            yield Fault(path, f"found {kind}; {figure} is the name of another kind")
        facts = kinds[kind].facts if kind in kinds else {"study": study, "needs": ()}
        if facts["study"] != study:
            yield Fault(path, f"{kind} is a figure of the {facts['study']} study")
        elif lacks := [need for need in facts["needs"] if not has(need)]:
            yield Fault(path, f"{kind} needs {' and '.join(lacks)}, which the benchmark lacks")


def _regularization_figures_fit(
    figures: Mapping[str, str] | None,
    methods: tuple[Method, ...],
    ablations: dict[str, WeightPruning] | None,
    leave_out: dict[str, LeaveOut] | None,
    flatness: LevelFlatness | None,
) -> Faults:
    benchmark = RegularizationBenchmark.model_construct(
        methods=methods, ablations=ablations, leave_out=leave_out, flatness=flatness
    )
    yield from _figures_fit(figures, "regularization", benchmark.has)


def _stability_figures_fit(
    figures: Mapping[str, str] | None,
    variants: dict[str, Variant | None],
    el2n: El2n | None,
    flatness: Flatness | None,
    activations: Activations | None,
) -> Faults:
    benchmark = StabilityBenchmark.model_construct(
        variants=variants, el2n=el2n, flatness=flatness, activations=activations
    )
    yield from _figures_fit(figures, "stability", benchmark.has)


def _noise_differs(noise: tuple[float, ...]) -> Faults:
    seen: dict[str, int] = {}
    for place, percent in enumerate(noise):
        text = percent_text(percent)
        if "e" in text or float(text) != percent:
            yield Fault(
                ("noise", place),
                f"found {percent}, which paths cannot hold; needed: at most six digits",
            )
        elif text in seen:
            yield Fault(("noise", place), f"{text} is there twice")
        seen[text] = place


def _noise_fits(noise_kind: NoiseKind, noise_map: dict[str, str]) -> Faults:
    noise = LabelNoise.model_construct(kind=noise_kind, map=noise_map)
    for objection in objections(LabelNoise, noise):
        yield Fault(("noise_map" if noise_map else "noise_kind",), objection)


def _noise_maps_agree(benchmarks: Mapping[str, Benchmark]) -> Faults:
    seen: dict[str, tuple[str, dict[str, str]]] = {}
    for name, benchmark in benchmarks.items():
        if isinstance(benchmark, RegularizationBenchmark) and benchmark.noise_map:
            first, expected = seen.setdefault(benchmark.dataset, (name, benchmark.noise_map))
            if benchmark.noise_map != expected:
                yield Fault(
                    ("benchmarks", name, "noise_map"),
                    f"differs from that of {first}, on the same dataset, whose labels have one "
                    "place; describe the dataset once more, by another name, under datasets",
                )


def _methods_differ(methods: tuple[Method, ...]) -> Faults:
    for place, method in enumerate(methods):
        if method in methods[:place]:
            yield Fault(("methods", place), f"{method} is there twice")


def _ablations_have_names_of_their_own(ablations: dict[str, WeightPruning] | None) -> Faults:
    taken = ("dense", EARLY, *get_args(Method))
    for name in ablations or {}:
        if name in taken:
            yield Fault(("ablations", name), f"needed: another name than {', '.join(taken)}")


def _leaving_out_fits(
    leave_out: dict[str, LeaveOut] | None,
    methods: tuple[Method, ...],
    ablations: dict[str, WeightPruning] | None,
) -> Faults:
    taken = ("dense", EARLY, *get_args(Method), *(ablations or {}))
    for name, examples in (leave_out or {}).items():
        if name in taken:
            yield Fault(("leave_out", name), f"needed: another name than {', '.join(taken)}")
        if examples.by != "random" and "pruned" not in methods:
            yield Fault(
                ("leave_out", name, "by"),
                f"{examples.by} goes by what pruning does, but methods lacks pruned",
            )


def _chains(
    pruning: WeightPruning, ablations: dict[str, WeightPruning] | None
) -> Iterator[tuple[Steps, WeightPruning]]:
    yield ("pruning",), pruning
    for name, ablation in (ablations or {}).items():
        yield ("ablations", name), ablation


def _weight_scores_are_registered(
    pruning: WeightPruning, ablations: dict[str, WeightPruning] | None
) -> Faults:
    for path, chain in _chains(pruning, ablations):
        yield from _registered(SCORES[chain.kind], chain.score, *path, "score")


def _rewinding_fits(training: Training, rewind_epoch: int) -> Faults:
    yield from _recipe(("rewind_epoch",), training, rewind_epoch=rewind_epoch)


def _weights_rewind_past_the_warmup(
    training: Training,
    rewind_epoch: int,
    pruning: WeightPruning,
    ablations: dict[str, WeightPruning] | None,
) -> Faults:
    if rewind_epoch < training.epochs:
        for path, chain in _chains(pruning, ablations):
            rewinding = {"level": 1, "intervention": chain, "rewind_epoch": rewind_epoch}
            yield from _recipe((*path, "rewind"), training, **rewinding)


def _el2n_fits(el2n: El2n | None, training: Training) -> Faults:
    if el2n and not training.warmup_epochs < el2n.epoch <= training.epochs:
        yield Fault(
            ("el2n", "epoch"),
            f"found {el2n.epoch}; needed: more than the {training.warmup_epochs} epochs of warm-up "
            f"and at most all {training.epochs}",
        )


def _el2n_has_a_reference(el2n: El2n | None, variants: Mapping[str, Variant | None]) -> Faults:
    if el2n and None not in variants.values():
        yield Fault(
            ("el2n",),
            "compares losses with those of training without pruning; add a variant that is null",
        )


def _widths_fit(
    network: Network,
    methods: tuple[Method, ...],
    levels: int,
    width_factor: float,
    width_levels: int | None,
) -> Faults:
    steps = (width_levels or levels) if "width" in methods else 0
    width = network.width * width_factor**steps
    filters = min(_filters(network), default=0)
    if filters and filters * width < 1:
        yield Fault(
            ("width_levels",) if steps else ("network", "width"),
            f"the narrowest network would have {width:.2g} of the width of {network.name}, whose "
            f"smallest layer has {filters} filters: less than one would be left",
        )


def _variants_fit(
    network: Network, training: Training, variants: Mapping[str, Variant | None]
) -> Faults:
    for name, variant in variants.items():
        if variant is not None:
            with suppress(AttributeError):
                yield from _variant_fits(network, training, name, variant)


def _variant_fits(network: Network, training: Training, name: str, variant: Variant) -> Faults:
    path = ("variants", name)
    scores = SCORES[variant.kind]
    yield from _registered(scores, variant.score, *path, "score")
    score = entries(scores).get(variant.score)
    if score and score.facts.get("gradient"):
        yield Fault(
            (*path, "score"),
            f"{variant.score} needs gradients, which are taken only for pruning between levels",
        )
    if isinstance(variant, ScratchPruning) and score and score.facts["watches"]:
        yield Fault(
            (*path, "score"),
            f"{variant.score} watches the training, but scratch pruning comes before it",
        )
    if objections(type(variant), variant):
        return  # Reading has told them.
    yield from _recipe(path, training, intervention=variant)
    if isinstance(variant, GradualPruning | DenseSparseDense) or network.name not in entries(
        MODELS
    ):
        return
    filters = [max(1, round(n * network.width)) for n in _filters(network)]
    layers = len(filters) if variant.layers is None else variant.layers
    if not filters:
        yield Fault(path, f"{network.name} has no filters that can be pruned")
    elif layers > len(filters):
        yield Fault(
            (*path, "fractions"),
            f"found {layers} layers; {network.name} has {len(filters)} whose filters can be pruned",
        )
    else:
        for layer, count in enumerate(filters[len(filters) - layers :]):
            fraction = variant.fraction(layer)
            if final_filters(fraction, count) == count:
                yield Fault(
                    (*path, "fractions"),
                    f"{fraction:g} of the {count} filters of layer {layer + 1} of {layers} is less "
                    "than one filter",
                )


def _flatness_is_measured_in_time(training: Training, flatness: Flatness | None) -> Faults:
    if flatness:
        yield from _recipe(("flatness", "epoch"), training, snapshots=(flatness.epoch,))


def _directions_are_known(flatness: FlatnessSettings | None) -> Faults:
    if flatness and flatness.directions > flatness.k:
        yield Fault(
            ("flatness", "directions"),
            f"found {flatness.directions}; needed: at most k, which is {flatness.k}",
        )


def _filters(network: Network) -> tuple[int, ...]:
    """Return the filters of each prunable convolution at width 1; none for an unknown model."""
    entry = entries(MODELS).get(network.name)
    return entry.facts["filters"] if entry else ()


STUDY: tuple[Check, ...] = (_source_is_registered, _figures_have_one_kind, _noise_maps_agree)
_EITHER: tuple[Check, ...] = (
    _dataset_is_known,
    _augmentation_fits,
    _dropout_is_of_images_in_memory,
    _model_is_registered,
    _cohorts_are_whole,
    _inferred_keys_exist,
    _published_benchmarks_exist,
    _el2n_fits,
    _directions_are_known,
    _flatness_is_of_images_in_memory,
)
BENCHMARK: dict[type[RegularizationBenchmark | StabilityBenchmark], tuple[Check, ...]] = {
    RegularizationBenchmark: (
        *_EITHER,
        _noise_differs,
        _noise_fits,
        _methods_differ,
        _ablations_have_names_of_their_own,
        _leaving_out_fits,
        _weight_scores_are_registered,
        _gradients_are_of_images_in_memory,
        _rewinding_fits,
        _weights_rewind_past_the_warmup,
        _widths_fit,
        _regularization_figures_fit,
    ),
    StabilityBenchmark: (
        *_EITHER,
        _variants_fit,
        _el2n_has_a_reference,
        _flatness_is_measured_in_time,
        _activations_are_of_images_in_memory,
        _stability_figures_fit,
    ),
}
