"""Loads a study from its configuration file and the benchmark files that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gst.config import checks
from gst.config.benchmarks import Benchmark, RegularizationBenchmark, StabilityBenchmark
from gst.config.faults import ConfigError, Fault, Steps, mismatch, nearest
from gst.config.reading import read_fields
from gst.config.study import Study, StudyFile
from gst.datasets import BUILTIN

Data = Mapping[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS: dict[object, type[RegularizationBenchmark | StabilityBenchmark]] = {
    "regularization": RegularizationBenchmark,
    "stability": StabilityBenchmark,
}


def read_study(path: str | Path) -> Study:
    """Load a study from its file; benchmark files are in the folder `benchmarks` beside it.

    Raises:
        ConfigError: If anything is wrong; it lists all faults.
    """
    path = Path(path)
    return load_study(read_yaml(path), source=str(path), benchmarks=path.parent / "benchmarks")


def load_study(config: Data, *, source: str, benchmarks: str | Path) -> Study:
    """Make a study of its configuration and the benchmark files that it lists.

    Args:
        config: What the study's file holds.
        source: Name of that file, for messages.
        benchmarks: Folder of the benchmark files.

    Returns:
        The study; its datasets hold the built-in ones too.

    Raises:
        ConfigError: If anything is wrong; it lists all faults.
    """
    values, faults = read_fields(StudyFile, config)
    files = {file.stem: file for file in sorted(Path(benchmarks).glob("*.yaml"))}
    context: dict[str, Any] = {"published": tuple(files)}
    if "datasets" in values:
        context["datasets"] = values["datasets"] = BUILTIN | values["datasets"]
    listed = values.pop("benchmarks", {})
    loaded: dict[str, Benchmark] = {}
    elsewhere: list[str] = []
    for name, changes in listed.items():
        if name not in files:
            message = f"there is no {Path(benchmarks, name)}.yaml{nearest(name, files)}"
            faults.append(Fault(("benchmarks", name), message))
            continue
        try:
            place = f"{source}: benchmarks.{name}"
            loaded[name] = _load_benchmark(files[name], changes or {}, place, context)
        except ConfigError as error:
            elsewhere += error.faults
    faults += checks.run_checks(checks.STUDY, {**context, "benchmarks": loaded})
    if faults or elsewhere:
        raise ConfigError([*(f"{source}: {fault}" for fault in faults), *elsewhere])
    return Study(**values, benchmarks=loaded)


def _load_benchmark(file: Path, changes: Data, place: str, context: Data) -> Benchmark:
    """Read one benchmark.

    Args:
        file: The benchmark's file.
        changes: What the study gives in place of the file's values.
        place: Where the study does so, for messages.
        context: Further values that checks ask for.

    Raises:
        ConfigError: If anything is wrong; it lists all faults.
    """
    data = merge(read_yaml(file), changes)
    model = _KINDS.get(data.get("study"))
    if model is None:
        faults = [mismatch(("study",), {"enum": list(_KINDS)}, data.get("study"))]
    else:
        values, faults = read_fields(model, data)
        faults += checks.run_checks(checks.BENCHMARK[model], {**values, **context, "data": data})
    if model is None or faults:
        raise ConfigError(
            f"{place}.{fault}" if _states(changes, fault.path) else f"{file}: {fault}"
            for fault in faults
        )
    return model(**values)


def merge(base: Any, changes: Any) -> Any:
    """Put changes into nested mappings; those of another `kind` are replaced as a whole."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    if base.get("kind") != changes.get("kind", base.get("kind")):
        return changes
    return base | {key: merge(base.get(key), value) for key, value in changes.items()}


def _states(changes: object, path: Steps) -> bool:
    """Return whether what stands at a path comes from a study's changes."""
    for key in path:
        if not isinstance(changes, dict):
            return True
        named = {str(name): value for name, value in changes.items()}
        if key not in named:
            return "kind" in named
        changes = named[str(key)]
    return True


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read the mapping that a YAML file holds.

    Raises:
        ConfigError: If the file cannot be read, is not YAML, is not a mapping, or a key of it
            stands twice.
    """
    path = Path(path)
    try:
        loader = _LOADER(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if repeated := list(_repeated_keys(root)):
            raise ConfigError(f"{path}: {fault}" for fault in repeated)
        data = loader.construct_document(root) if root else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error})"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: {_in_words(error)}"]) from error
    if not isinstance(data, dict):
        raise ConfigError([f"{path}: {mismatch((), {'type': 'object'}, data)}"])
    return data


def _repeated_keys(root: yaml.Node | None) -> Iterator[str]:
    """Find keys that stand twice in a mapping; YAML readers silently take the last one."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                waiting.append(value)
                line = key.start_mark.line + 1
                if key.value in lines:
                    yield f"line {line}: {key.value} stands in line {lines[key.value]} already"
                lines[key.value] = line


def _in_words(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"is not YAML ({error})"
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: is not YAML ({error.problem})"
