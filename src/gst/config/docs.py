"""Writes config/README.md from the types of the configuration and the files that ship."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from gst.config.benchmarks import (
    Benchmark,
    CommonSettings,
    RegularizationBenchmark,
    StabilityBenchmark,
)
from gst.config.faults import needed
from gst.config.loading import read_study
from gst.config.reading import entries_of, models_of, schema_of, types_of
from gst.config.study import Study, StudyFile
from gst.layout import percent_text

STUDIES = (
    "config",
    "experiments-digits",
    "ablations-digits",
    "pilot",
    "mnist",
    "mnist-clean",
    "stability-pilot",
    "paper",
    "imagenet",
)
"""The studies that ship."""

_TOP = """\
# Configuration

This file is written by `python -m gst config docs`; a test keeps it current.

A study is a file such as `config/config.yaml`. It lists benchmarks, each of which has a file of
its own in `config/benchmarks`, and may change any of their settings:

```yaml
name: mine
results: results/mine
benchmarks:
  digits-vgg:
  digits-lenet:
    noise: [0, 10]
    training: {epochs: 30}
```

Mappings are merged key by key; a mapping that states another `kind` is replaced as a whole, and
so are lists. Run a study with `snakemake all --configfile FILE`, or the part of it that one figure
needs with `snakemake stability_fig2 --configfile FILE` (`--list-target-rules` lists the figures);
check one without running it with `python -m gst config check FILE`. `python -m gst config schema
study` and `... schema benchmark` print JSON schemas for editors.

Unknown keys, wrong types and impossible values are refused before any job is planned, all at
once. A number such as 1e-3 is written 1.0e-3, since YAML reads the former as text.
"""


_Row = tuple[str, ...]
_BENCHMARK = (
    "benchmark",
    "study",
    "scale",
    "dataset",
    "network",
    "epochs",
    "what is compared",
    "replicates",
    "not stated by the paper",
)
_KEYS = ("key", "allowed", "default", "meaning")


def document(folder: Path) -> str:
    """Return the text of config/README.md.

    Args:
        folder: The folder `config`.

    Raises:
        ConfigError: If a study that ships has a fault.
    """
    common = CommonSettings.model_fields
    studies = {name: read_study(folder / f"{name}.yaml") for name in STUDIES}
    parts = {
        "A study's file": [_KEYS, *_keys(StudyFile)],
        "A benchmark's file, both studies": [_KEYS, *_keys(CommonSettings)],
        "A benchmark's file, regularization study": [
            _KEYS,
            *_keys(RegularizationBenchmark, leave_out=common),
        ],
        "A benchmark's file, stability study": [
            _KEYS,
            *_keys(StabilityBenchmark, leave_out=common),
        ],
        "Studies that ship": [
            ("file", "benchmarks", "training jobs"),
            *(_study(name, study) for name, study in studies.items()),
        ],
        "Benchmarks that ship": [
            _BENCHMARK,
            *(
                _benchmark(name, benchmark)
                for name, benchmark in dict(
                    item for study in studies.values() for item in study.benchmarks.items()
                ).items()
            ),
        ],
    }
    lines = [_TOP]
    for title, rows in parts.items():
        lines += [f"## {title}", "", *_table(*rows)]
    return "\n".join(lines)


def _keys(model: type[BaseModel], leave_out: Collection[str] = ()) -> Iterator[_Row]:
    """List the keys of a file, and those of the mappings inside, each mapping once."""
    seen: set[type[BaseModel]] = set()

    def keys(model: type[BaseModel], prefix: str = "", kind: str = "") -> Iterator[_Row]:
        seen.add(model)
        for name, field in model.model_fields.items():
            if name in leave_out or (kind and name == "kind"):
                continue
            default = "required"
            if not field.is_required():
                default = _as_yaml(field.get_default(call_default_factory=True))
            annotation = types_of(model)[name]
            yield from value(f"{prefix}{name}", annotation, default, field.description or "", kind)

    def value(
        key: str, annotation: Any, default: str, meaning: str, kind: str = ""
    ) -> Iterator[_Row]:
        models = models_of(annotation)
        new = [model for model in models if model not in seen]
        if len(models) > 1:
            meaning = " ".join([meaning, *(f"{_kind(model)}: {_summary(model)}" for model in new)])
        elif models and not meaning:
            meaning = _summary(models[0])
        row = f"`{key}`{kind}", needed(schema_of(annotation)), default, meaning
        yield tuple(" ".join(cell.split()) for cell in row)
        for model in new:
            yield from keys(model, f"{key}.", f" ({_kind(model)})" if len(models) > 1 else "")
        entries = entries_of(annotation)
        if entries and models_of(entries[1]):
            yield from value(f"{key}.<name>", entries[1], "", "")

    return keys(model)


def _kind(model: type[BaseModel]) -> str:
    return ", ".join(get_args(types_of(model)["kind"]))


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").split("\n\n")[0]


def _as_yaml(value: object) -> str:
    text = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True)
    return f"`{text.splitlines()[0]}`"


def _study(name: str, study: Study) -> _Row:
    return f"{name}.yaml", ", ".join(study.benchmarks), str(len(study.runs()))


def _benchmark(name: str, benchmark: Benchmark) -> _Row:
    if isinstance(benchmark, RegularizationBenchmark):
        noise = ", ".join(map(percent_text, benchmark.noise))
        methods = ", ".join((*benchmark.methods, *(benchmark.ablations or {})))
        kind = "" if benchmark.noise_kind == "uniform" else f" ({benchmark.noise_kind})"
        compared = f"noise {noise}%{kind}; {methods}, {benchmark.levels} levels"
    else:
        compared = ", ".join(benchmark.variants)
    return (
        name,
        benchmark.study,
        benchmark.scale,
        benchmark.dataset,
        benchmark.network.name,
        str(benchmark.training.epochs),
        compared,
        str(benchmark.replicates),
        ", ".join(benchmark.inferred),
    )


def _table(*rows: _Row) -> list[str]:
    """Write rows, the first of which is the head, as a table."""
    head, *body = rows
    lines = [head, ("---",) * len(head), *body]
    return [*(f"| {' | '.join(row)} |" for row in lines), ""]
