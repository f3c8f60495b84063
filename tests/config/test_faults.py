from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gst.config import ConfigError, read_study, read_yaml

Faults = Callable[[str], tuple[str, ...]]

# What a study says of the benchmark, and what the one fault says.
IN_REG = "study.yaml: benchmarks.reg."
IN_STAB = "study.yaml: benchmarks.stab."
NOISE = (
    "{{kind: noise, noise: {}, batches: {}, fractions: [0.3], first_epochs: [1], "
    "last_epochs: [6], period: 2, target: L}}"
)
CHANGES = {
    "unknown key": ("reg: {nois: [1]}", f"{IN_REG}nois: unknown key; did you mean noise"),
    "unknown key, none near": ("reg: {zzz: 1}", f"{IN_REG}zzz: unknown key. Known: dataset, "),
    "unknown inner key": (
        "reg: {training: {epoch: 3}}",
        f"{IN_REG}training.epoch: unknown key; did you mean epochs",
    ),
    "key of another kind": (
        "stab: {training: {optimiser: {momentum: 0.9}}}",
        f"{IN_STAB}training.optimiser.momentum: unknown key. Known: kind, lr, beta1",
    ),
    "key of the other study": ("stab: {levels: 3}", f"{IN_STAB}levels: unknown key"),
    "text for a whole number": (
        "reg: {training: {epochs: ten}}",
        f'{IN_REG}training.epochs: found the text "ten"; needed: a whole number above 0',
    ),
    "quoted number": ('reg: {levels: "3"}', f"{IN_REG}levels: ... write it without quotes"),
    "number that YAML reads as text": (
        "reg: {training: {optimiser: {lr: 1e-3}}}",
        f"{IN_REG}training.optimiser.lr: found the text ... write 1.0e-3, which YAML reads",
    ),
    "exponent without sign": (
        "reg: {training: {optimiser: {lr: 1.5e3}}}",
        f"{IN_REG}training.optimiser.lr: ... write 1.5e+3,",
    ),
    "fraction for a whole number": ("reg: {levels: 3.0}", f"{IN_REG}levels: found 3.0; needed: a"),
    "true for a number": ("reg: {levels: true}", f"{IN_REG}levels: found true; needed: a whole"),
    "null for a number": ("reg: {levels: null}", f"{IN_REG}levels: found nothing; needed: a whole"),
    "not a number": ("reg: {noise: [.nan]}", f"{IN_REG}noise[0]: found NaN; needed: a number at"),
    "infinite": ("reg: {training: {gamma: .inf}}", f"{IN_REG}training.gamma: found Infinity; need"),
    "off for text": (
        "reg: {network: {name: off}}",
        f"{IN_REG}network.name: found false; needed: text; ... put quotes around them",
    ),
    "mapping for a list": ("reg: {noise: {a: 1}}", f"{IN_REG}noise: found a mapping; needed: a l"),
    "list for a mapping": ("reg: {training: [1]}", f"{IN_REG}training: found a list; needed: a ma"),
    "date": ("reg: {levels: 2001-01-01}", f'{IN_REG}levels: found "2001-01-01"; needed: a whole'),
    "empty list": ("reg: {noise: []}", f"{IN_REG}noise: found an empty list; needed: a list of on"),
    "no variants": ("stab: {variants: null}", f"{IN_STAB}variants: found nothing; needed: a mapp"),
    "unknown choice": (
        "reg: {methods: [prund]}",
        f"{IN_REG}methods[0]: ... needed: pruned, extended or width; did you mean pruned?",
    ),
    "unknown kind": (
        "reg: {training: {optimiser: {kind: sdg, lr: 0.1}}}",
        f'{IN_REG}training.optimiser.kind: found the text "sdg"; needed: ... did you mean sgd?',
    ),
    "kind without its settings": (
        "reg: {training: {optimiser: {kind: adam}}}",
        f"{IN_REG}training.optimiser.lr: is missing; needed: a number above 0",
    ),
    "unknown study": (
        "reg: {study: regularisation}",
        f'{IN_REG}study: found the text "regularisation"; ... did you mean regularization?',
    ),
    "all labels wrong": ("reg: {noise: [0, 100]}", f"{IN_REG}noise[1]: found 100; ... below 100"),
    "noise below none": ("reg: {noise: [-1]}", f"{IN_REG}noise[0]: found -1; needed: a number at"),
    "noise twice": ("reg: {noise: [0, 20, 20.0]}", f"{IN_REG}noise[2]: 20 is there twice"),
    "noise too fine": ("reg: {noise: [1.2345678]}", f"{IN_REG}noise[0]: ... at most six digits"),
    "method twice": ("reg: {methods: [width, width]}", f"{IN_REG}methods[1]: width is there twice"),
    "all weights pruned": (
        "reg: {pruning: {fraction: 1.0}}",
        f"{IN_REG}pruning.fraction: found 1.0; needed: a number above 0 and below 1",
    ),
    "a layer pruned away": (
        "stab: {variants: {scratch: {fractions: [0.3, 1]}}}",
        f"{IN_STAB}variants.scratch.fractions[1]: found 1; needed: a number above 0 and below 1",
    ),
    "all layers pruned away": (
        "stab: {variants: {scratch: {fractions: 1}}}",
        f"{IN_STAB}variants.scratch.fractions: found 1; needed: a number above 0 and below 1, or a",
    ),
    "all weights pruned gradually": (
        "stab: {variants: {gradual: {kind: gradual, fraction: 1, first_epoch: 1, last_epoch: 5, "
        "period: 2, target: S}}}",
        f"{IN_STAB}variants.gradual.fraction: found 1; needed: a number above 0 and below 1",
    ),
    "a layer that loses no filter": (
        "stab: {variants: {slow: {fractions: [0.01, 0.9]}}}",
        f"{IN_STAB}variants.slow.fractions: 0.01 of the 64 filters of layer 1 of 2 is less than",
    ),
    "layers that lose no filter at a width": (
        "stab: {network: {width: 0.125}, variants: {slow: null, scratch: {fractions: 0.3}}}",
        f"{IN_STAB}variants.scratch.fractions: 0.3 of the 2 filters of layer 1 of 5 is less than",
    ),
    "more layers than there are": (
        "stab: {variants: {scratch: {fractions: [0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}}}",
        f"{IN_STAB}variants.scratch.fractions: found 6 layers; vgg-digits has 5 whose filters",
    ),
    "no epoch for a layer": (
        "stab: {variants: {slow: {fractions: [0.1]}}}",
        f"{IN_STAB}variants.slow: first_epochs has 2 entries, fractions has 1",
    ),
    "pruning ends before it starts": (
        "stab: {variants: {slow: {first_epochs: [7, 2]}}}",
        f"{IN_STAB}variants.slow: first epoch 7 comes after last epoch 6",
    ),
    "epochs a layer, but one fraction": (
        "stab: {variants: {slow: {fractions: 0.5}}}",
        f"{IN_STAB}variants.slow: fractions is one number for all layers, so epochs must be one",
    ),
    "period longer than every window": (
        "stab: {variants: {slow: {period: 8}}}",
        f"{IN_STAB}variants.slow: period 8 is longer than the longest window, 7 epochs, so no "
        "layer is hit twice; write null to hit all filters at once",
    ),
    "period longer than the window": (
        "stab: {variants: {gradual: {kind: gradual, fraction: 0.5, first_epoch: 1, last_epoch: 5, "
        "period: 5, target: S}}}",
        f"{IN_STAB}variants.gradual: period 5 is longer than the window, 4 epochs, so nothing is "
        "pruned twice; write null",
    ),
    "period of nothing": (
        "stab: {variants: {slow: {period: 0}}}",
        "slow.period: found 0; needed: a",
    ),
    "weights return before they go": (
        "stab: {variants: {dsd: {kind: dense-sparse-dense, fraction: 0.5, sparse_epoch: 5, "
        "dense_epoch: 5}}}",
        f"{IN_STAB}variants.dsd: dense_epoch 5 does not come after sparse_epoch 5",
    ),
    "weights return past the end": (
        "stab: {variants: {dsd: {kind: dense-sparse-dense, fraction: 0.5, sparse_epoch: 5, "
        "dense_epoch: 12}}}",
        f"{IN_STAB}variants.dsd: an event at the end of epoch 12, but the last epoch is 11",
    ),
    "noise for no batch": (
        f"stab: {{variants: {{zero: {NOISE.format('zero', 0)}}}}}",
        f"{IN_STAB}variants.zero.batches: found 0; needed: a whole number above 0",
    ),
    "unknown noise": (
        f"stab: {{variants: {{zero: {NOISE.format('zeros', 1)}}}}}",
        f"{IN_STAB}variants.zero.noise: ... needed: zero, restore or gaussian; did you mean zero?",
    ),
    "noise on a network without filters": (
        "stab: {network: {name: lenet-digits}, "
        f"variants: {{slow: null, scratch: null, zero: {NOISE.format('zero', 1)}}}}}",
        f"{IN_STAB}variants.zero: lenet-digits has no filters that can be pruned",
    ),
    "certain dropout": (
        "stab: {network: {dropout: 1}}",
        f"{IN_STAB}network.dropout: found 1; needed: a number at least 0 and below 1",
    ),
    "dropout below none": (
        "stab: {network: {dropout: -0.1}}",
        f"{IN_STAB}network.dropout: found -0.1; needed: a number at least 0 and below 1",
    ),
    "pruning past the end": (
        "stab: {variants: {slow: {last_epochs: [6, 12]}}}",
        f"{IN_STAB}variants.slow: an event at the end of epoch 12, but the last epoch is 11",
    ),
    "weights pruned as filters": (
        "stab: {variants: {odd: {kind: weights}}}",
        f'{IN_STAB}variants.odd.kind: found the text "weights"; needed: filters, noise, ...',
    ),
    "name that no path can hold": (
        "stab: {variants: {Bad/Name: null}}",
        f'{IN_STAB}variants.Bad/Name: found the text "Bad/Name"; needed: a name of lower-case',
    ),
    "number as a name": ("stab: {variants: {2: null}}", f"{IN_STAB}variants.2: found 2; needed: a"),
    "rewinding past the end": (
        "reg: {rewind_epoch: 12}",
        f"{IN_REG}rewind_epoch: rewind_epoch 12 is past the end: there are 12 epochs",
    ),
    "milestone past the end": (
        "reg: {training: {milestones: [8, 12]}}",
        f"{IN_REG}training: milestone 12 is never reached in 12 epochs",
    ),
    "milestones fall": (
        "reg: {training: {milestones: [8, 4]}}",
        f"{IN_REG}training: milestones must increase, found [8, 4]",
    ),
    "flatness past the end": (
        "stab: {flatness: {epoch: 13}}",
        f"{IN_STAB}flatness.epoch: snapshot after epoch 13 of 12",
    ),
    "more directions than eigenvalues": (
        "stab: {flatness: {directions: 6}}",
        f"{IN_STAB}flatness.directions: found 6; needed: at most k, which is 5",
    ),
    "more directions than eigenvalues along the levels": (
        "reg: {flatness: {k: 3, directions: 4}}",
        f"{IN_REG}flatness.directions: found 4; needed: at most k, which is 3",
    ),
    "flatness of no level": (
        "reg: {flatness: {every: 0}}",
        f"{IN_REG}flatness.every: found 0; needed: a whole number above 0",
    ),
    "flatness of the levels at an epoch": (
        "reg: {flatness: {epoch: 5}}",
        f"{IN_REG}flatness.epoch: unknown key",
    ),
    "figure of flatness that is not measured": (
        "reg: {figures: {regularization_a: regularization_levels}}",
        f"{IN_REG}figures.regularization_a: regularization_levels needs flatness, which the",
    ),
    "figure of scores that are not taken": (
        "stab: {figures: {stability_a: stability_subgroups}}",
        f"{IN_STAB}figures.stability_a: stability_subgroups needs el2n, which the benchmark lacks",
    ),
    "variants scored past the end": (
        "stab: {el2n: {epoch: 13}}",
        f"{IN_STAB}el2n.epoch: found 13; needed: more than the 0 epochs of warm-up and at most all",
    ),
    "scores without a variant to compare with": (
        "stab: {el2n: {epoch: 2}, variants: {none: {kind: scratch, fractions: 0.5}}}",
        f"{IN_STAB}el2n: compares losses with those of training without pruning; add a variant",
    ),
    "scores past the end": (
        "reg: {el2n: {epoch: 13}}",
        f"{IN_REG}el2n.epoch: found 13; ... at most all 12",
    ),
    "scores before the end of the warm-up": (
        "reg: {training: {warmup_epochs: 4}}",
        "benchmarks/reg.yaml: el2n.epoch: found 4; needed: more than the 4 epochs of warm-up",
    ),
    "cohorts that do not fill": (
        "reg: {replicates: 3}",
        f"{IN_REG}replicates: found 3; needed: a multiple of cohort, which is 2",
    ),
    "unknown dataset": (
        "reg: {dataset: digit}",
        f"{IN_REG}dataset: no dataset 'digit'; did you mean digits? Known: digits, mnist, cifar10",
    ),
    "unknown model": (
        "reg: {network: {name: vgg-digit}}",
        f"{IN_REG}network.name: no 'vgg-digit' among models; the nearest are: vgg-digits",
    ),
    "unknown weight score": (
        "reg: {pruning: {score: magnitud}}",
        f"{IN_REG}pruning.score: no 'magnitud' among weight_scores; the nearest are: magnitude",
    ),
    "unknown score of an ablation": (
        "reg: {ablations: {odd: {kind: weights, score: snap}}}",
        f"{IN_REG}ablations.odd.score: no 'snap' among weight_scores; the nearest are: snip",
    ),
    "ablation by the name of a method": (
        "reg: {ablations: {width: {kind: weights}}}",
        f"{IN_REG}ablations.width: needed: another name than dense, early, pruned, extended, width",
    ),
    "ablation that is no pruning of weights": (
        "reg: {ablations: {odd: {kind: gradual}}}",
        f'{IN_REG}ablations.odd.kind: found the text "gradual"; needed: weights',
    ),
    "examples left out by the name of a method": (
        "reg: {ablations: {odd: {kind: weights}}, leave_out: {odd: {by: misclassified}}}",
        f"{IN_REG}leave_out.odd: needed: another name than dense, early, pruned, extended, width, "
        "odd",
    ),
    "examples left out by what nothing prunes": (
        "reg: {methods: [width], leave_out: {odd: {by: misclassified}}}",
        f"{IN_REG}leave_out.odd.by: misclassified goes by what pruning does, but methods lacks",
    ),
    "no share of examples to leave out": (
        "reg: {leave_out: {odd: {by: random}}}",
        f"{IN_REG}leave_out.odd: random needs a percent, the share that is left out",
    ),
    "a share of examples that counts itself": (
        "reg: {leave_out: {odd: {by: misclassified, percent: 20}}}",
        f"{IN_REG}leave_out.odd: misclassified says by itself how many are left out",
    ),
    "weights rewound into the warm-up": (
        "reg: {training: {warmup_epochs: 3}, ablations: {w: {kind: weights, rewind: weights}}}",
        f"{IN_REG}ablations.w.rewind: weights cannot be rewound to epoch 3, in the warm-up of 3",
    ),
    "gradients while training": (
        "stab: {variants: {gradual: {kind: gradual, fraction: 0.5, first_epoch: 1, last_epoch: 5, "
        "period: 2, target: S, score: snip}}}",
        f"{IN_STAB}variants.gradual.score: snip needs gradients, which are taken only for pruning",
    ),
    "asymmetric noise without a map": (
        "reg: {noise_kind: asymmetric}",
        f"{IN_REG}noise_kind: asymmetric noise needs a map from classes to other classes",
    ),
    "map of uniform noise": (
        "reg: {noise_map: {a: b}}",
        f"{IN_REG}noise_map: only asymmetric noise has a map, uniform noise has none",
    ),
    "map of a class to itself": (
        "reg: {noise_kind: asymmetric, noise_map: {a: b, c: c}}",
        f"{IN_REG}noise_map: the map leaves c as it is",
    ),
    "map of numbers": (
        "reg: {noise_kind: asymmetric, noise_map: {a: b, '3': 5}}",
        f"{IN_REG}noise_map.3: found 5; needed: text; if it is meant as text, put quotes around",
    ),
    "unknown filter score": (
        "stab: {variants: {scratch: {score: l3}}}",
        f"{IN_STAB}variants.scratch.score: no 'l3' among filter_scores; the nearest are: ... l1",
    ),
    "score of the training before it": (
        "stab: {variants: {scratch: {score: activations}}}",
        f"{IN_STAB}variants.scratch.score: activations watches the training, but scratch pruning",
    ),
    "score of weights for filters": (
        "stab: {variants: {scratch: {score: magnitude}}}",
        f"{IN_STAB}variants.scratch.score: no 'magnitude' among filter_scores; the nearest are: ",
    ),
    "score of filters for weights": (
        "stab: {variants: {dsd: {kind: dense-sparse-dense, fraction: 0.5, sparse_epoch: 5, "
        "dense_epoch: 6, score: l2}}}",
        f"{IN_STAB}variants.dsd.score: no 'l2' among weight_scores; the nearest are: largest",
    ),
    "unknown kind of figure": (
        "stab: {figures: {stability_a: stability_curve}}",
        f"{IN_STAB}figures.stability_a: no 'stability_curve' among figures; the nearest are: "
        "stability_curves",
    ),
    "figure of the other study": (
        "stab: {figures: {stability_a: regularization_losses}}",
        f"{IN_STAB}figures.stability_a: regularization_losses is a figure of the regularization",
    ),
    "figure named after the other study": (
        "stab: {figures: {regularization_a: stability_curves}}",
        f"{IN_STAB}figures.regularization_a: ... of this study begins with stability_",
    ),
    "figure named after another kind": (
        "stab: {figures: {stability_gap: stability_curves}}",
        f"{IN_STAB}figures.stability_gap: found stability_curves; stability_gap is the name of an",
    ),
    "figure that needs what is not measured": (
        "stab: {flatness: null, figures: {stability_a: stability_flatness}}",
        f"{IN_STAB}figures.stability_a: stability_flatness needs flatness, which the benchmark",
    ),
    "figure that needs a method": (
        "reg: {methods: [pruned], figures: {regularization_a: regularization_error_epochs}}",
        f"{IN_REG}figures.regularization_a: regularization_error_epochs needs extended, which",
    ),
    "figure of rates for two": (
        "stab: {variants: {fast: {kind: filters, fractions: 0.5, first_epochs: 1, last_epochs: 9, "
        "period: 4, target: S}}, figures: {stability_a: stability_rates}}",
        f"{IN_STAB}figures.stability_a: stability_rates needs rates, which the benchmark lacks",
    ),
    "figure of noise for none": (
        "stab: {figures: {stability_a: stability_noise}}",
        f"{IN_STAB}figures.stability_a: stability_noise needs noise, which the benchmark lacks",
    ),
    "name that no figure can have": (
        "stab: {figures: {stability_fig-2: stability_curves}}",
        f"{IN_STAB}figures.stability_fig-2: ... needed: a name of letters, digits and '_'",
    ),
    "no filter left at a width": (
        "reg: {network: {width: 0.05}, methods: [pruned]}",
        f"{IN_REG}network.width: the narrowest network would have 0.05 of the width of vgg-digits",
    ),
    "no filter left at the last width": (
        "reg: {width_levels: 13}",
        f"{IN_REG}width_levels: ... has 16 filters: less than one would be left",
    ),
    "inferred key that is not there": (
        "reg: {inferred: [training.epochs, training.epoch]}",
        f"{IN_REG}inferred[1]: training.epoch is not among the benchmark's settings",
    ),
    "stands for no benchmark": (
        "reg: {stands_for: [stib]}",
        f"{IN_REG}stands_for[0]: no benchmark 'stib'; did you mean stab?",
    ),
    "no such benchmark": (
        "rek: null",
        "study.yaml: benchmarks.rek: there is no benchmarks/rek.yaml; did you mean reg?",
    ),
    "benchmark that is no mapping": (
        "reg: [1]",
        "study.yaml: benchmarks.reg: found a list; needed: a mapping, or null",
    ),
}
STUDIES = {
    "no benchmarks": ("name: a", "study.yaml: benchmarks: is missing; needed: a mapping of one o"),
    "empty benchmarks": ("{name: a, benchmarks: {}}", "benchmarks: found an empty mapping; needed"),
    "benchmarks as a list": ("{name: a, benchmarks: [reg]}", "benchmarks: found a list; needed: a"),
    "no name": ("benchmarks: {reg: }", "study.yaml: name: is missing; needed: a name of lower-cas"),
    "bad name": ("{name: A b, benchmarks: {reg: }}", 'name: found the text "A b"; needed: a name'),
    "empty folder name": (
        "{name: a, results: '', benchmarks: {reg: }}",
        "study.yaml: results: found the text",
    ),
    "unknown top key": (
        "{name: a, result: x, benchmarks: {reg: }}",
        "study.yaml: result: unknown key; did you mean results? Known: name, results, data_root",
    ),
    "unknown choice": (
        "{name: a, keep_weights: some, benchmarks: {reg: }}",
        'study.yaml: keep_weights: found the text "some"; needed: all, needed or none',
    ),
    "unknown source": (
        "{name: a, datasets: {mine: {kind: nqz}}, benchmarks: {reg: }}",
        'study.yaml: datasets.mine.kind: found the text "nqz"; ... did you mean npz?',
    ),
    "source without its file": (
        "{name: a, datasets: {mine: {kind: npz, train: a.npz}}, benchmarks: {reg: }}",
        "study.yaml: datasets.mine.test: is missing; needed: text",
    ),
    "subset of nothing": (
        "{name: a, datasets: {few: {kind: subset, of: mnst, train: 5}}, benchmarks: {reg: }}",
        "study.yaml: datasets.few.of: 'mnst' is not one of digits, mnist",
    ),
    "unregistered source": (
        "{name: a, datasets: {mine: {kind: module, name: nowhere}}, benchmarks: {reg: }}",
        "study.yaml: datasets.mine: no 'nowhere' among sources",
    ),
    "list": ("[1, 2]", "study.yaml: found a list; needed: a mapping"),
    "syntax": ("name: a\nbenchmarks: {reg: [}\n", "study.yaml: line 2, column ... is not YAML"),
    "key twice": (
        "name: a\nbenchmarks:\n  reg: {}\n  stab: {}\n  reg: {}\n",
        "study.yaml: line 5: reg stands in line 3 already",
    ),
}


def agree(fault: str, expected: str) -> bool:
    """Whether a fault has all parts of the expected text, which "..." separates, in order."""
    place = 0
    for part in expected.split("..."):
        place = fault.find(part.strip(), place)
        if place < 0:
            return False
    return True


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_fault_of_a_benchmark(faults: Faults, change: str, expected: str) -> None:
    (fault,) = faults(f"{{name: a, benchmarks: {{{change}}}}}")
    assert agree(fault, expected), fault


@pytest.mark.parametrize(("text", "expected"), STUDIES.values(), ids=STUDIES.keys())
def test_fault_of_a_study(faults: Faults, text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert agree(fault, expected), fault


def test_faults_are_reported_all_at_once(faults: Faults) -> None:
    found = faults("""
        nam: a
        data_root: 3
        datasets: {mine: {kind: npz, trian: a.npz, test: b.npz}}
        benchmarks:
          rag:
          reg:
            noise: [0, 100]
            network: {nme: x, name: vgg-digit}
            training: {epochs: 5, batch_size: "64", optimiser: {lr: 1e-3}}
            pruning: {fraction: 2}
            replicates: 5
            rewind_epoch: 6
            el2n: {epoch: 6}
          stab:
            training: {epochs: 8}
            variants: {slow: {target: T, score: l3}, scratch: {fraction: 1}}
            flatness: {epoch: 9, directions: 9}
        """)
    expected = [
        "study.yaml: nam: unknown key",
        "study.yaml: name: is missing",
        "study.yaml: data_root: found 3",
        "study.yaml: datasets.mine.trian: unknown key",
        "study.yaml: datasets.mine.train: is missing",
        "study.yaml: benchmarks.rag: there is no",
        f"{IN_REG}noise[1]: found 100",
        f"{IN_REG}network.nme: unknown key",
        f"{IN_REG}network.name: no 'vgg-digit'",
        f"{IN_REG}training.batch_size: found the text",
        f"{IN_REG}training.optimiser.lr: found the text",
        f"{IN_REG}training: milestone 8 is never reached in 5 epochs",
        f"{IN_REG}pruning.fraction: found 2",
        f"{IN_REG}replicates: found 5",
        f"{IN_REG}rewind_epoch: rewind_epoch 6 is past the end: there are 5 epochs",
        f"{IN_REG}el2n.epoch: found 6",
        f"{IN_STAB}variants.slow.target: found the text",
        f"{IN_STAB}variants.slow.score: no 'l3'",
        f"{IN_STAB}variants.slow: an event at the end of epoch 8, but the last epoch is 7",
        f"{IN_STAB}variants.scratch.fraction: unknown key",
        f"{IN_STAB}flatness.epoch: snapshot after epoch 9 of 8",
        f"{IN_STAB}flatness.directions: found 9",
    ]
    for text in expected:
        assert sum(fault.startswith(text) for fault in found) == 1, text
    assert len(found) == len(expected), found


def test_faults_name_the_file_that_states_the_value(folder: Path, faults: Faults) -> None:
    file = folder / "benchmarks/reg.yaml"
    file.write_text(file.read_text().replace("lr: 0.1", "lr: 0").replace("levels: 2\n", ""))
    found = faults("{name: a, benchmarks: {reg: {training: {epochs: 0}}}}")
    assert sorted(fault.split(": found")[0].split(": is")[0] for fault in found) == [
        "benchmarks/reg.yaml: levels",
        "benchmarks/reg.yaml: training.optimiser.lr",
        "study.yaml: benchmarks.reg.training.epochs",
    ]


def test_networks_without_filters_have_none_to_prune(faults: Faults) -> None:
    found = faults("{name: a, benchmarks: {stab: {network: {name: lenet-digits}}}}")
    assert [fault.split(": ", 1)[1] for fault in found] == [
        "variants.slow: lenet-digits has no filters that can be pruned",
        "variants.scratch: lenet-digits has no filters that can be pruned",
    ]


def test_streamed_images_are_not_measured_in_memory(faults: Faults) -> None:
    found = faults("""
        name: a
        datasets: {photos: {kind: folders, root: photos, stream: true}}
        benchmarks:
          reg:
            dataset: photos
            training: {augment: flip-crop}
            pruning: {score: snip}
          stab:
            dataset: photos
            network: {dropout: 0.5}
            training: {augment: resized-crop}
        """)
    expected = [
        "training.augment: flip-crop is not for photos, whose images are streamed",
        "pruning.score: snip needs images in memory; those of photos are streamed",
        "flatness: needs images in memory; those of photos are streamed",
        "network.dropout: found 0.5; needed: 0, since the images of photos are streamed",
    ]
    assert len(found) == len(expected)
    assert all(any(text in fault for fault in found) for text in expected)


def test_images_in_memory_have_no_resized_crops(faults: Faults) -> None:
    (fault,) = faults("{name: a, benchmarks: {reg: {training: {augment: resized-crop}}}}")
    assert "training.augment: resized-crop is not for digits, whose images are in memory" in fault


def test_benchmarks_agree_on_the_kind_of_a_shared_figure(folder: Path, faults: Faults) -> None:
    other = (folder / "benchmarks/stab.yaml").read_text()
    (folder / "benchmarks/other.yaml").write_text(other)
    (fault,) = faults("""
        name: a
        benchmarks:
          stab: {figures: {stability_a: stability_curves, stability_b: stability_gap}}
          other: {figures: {stability_a: stability_gap, stability_b: stability_gap}}
        """)
    assert fault == (
        "study.yaml: benchmarks.other.figures.stability_a: found stability_gap; needed: "
        "stability_curves, as in stab, since it is one figure"
    )


def test_benchmarks_on_one_dataset_have_one_noise_map(folder: Path, faults: Faults) -> None:
    other = (folder / "benchmarks/reg.yaml").read_text()
    (folder / "benchmarks/other.yaml").write_text(other)
    (fault,) = faults("""
        name: a
        benchmarks:
          reg: {noise_kind: asymmetric, noise_map: {"3": "5"}}
          other: {noise_kind: asymmetric, noise_map: {"3": "8"}}
        """)
    assert fault.startswith(
        "study.yaml: benchmarks.other.noise_map: differs from that of reg, on the same dataset"
    )


def test_syntax_faults_of_several_files_are_reported_together(folder: Path, faults: Faults) -> None:
    (folder / "benchmarks/reg.yaml").write_text("study: regularization\n\tdataset: digits\n")
    (folder / "benchmarks/stab.yaml").write_text("a: {b: 1, b: 2}\na: 3\n")
    assert [fault.split(" (")[0] for fault in faults("{name: a, benchmarks: {reg: , stab: }}")] == [
        "benchmarks/reg.yaml: line 2, column 1: is not YAML",
        "benchmarks/stab.yaml: line 2: a stands in line 1 already",
        "benchmarks/stab.yaml: line 1: b stands in line 1 already",
    ]


def test_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        read_study(tmp_path / "nowhere.yaml")


def test_merged_keys_are_no_repeated_keys(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_yaml(file) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


def test_null_in_a_study_means_no_change(folder: Path) -> None:
    study = read_study(folder / "study.yaml")
    assert study.benchmarks["reg"].training.epochs == 12
