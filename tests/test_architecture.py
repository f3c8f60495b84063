"""Who may import whom, read from the syntax trees of the library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import gst

SOURCE = Path(gst.__file__).parent
GROUND = {"artifacts", "datasets", "layout", "provenance", "randomness", "recipe", "registry"}
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "models": GROUND,
    "pruning": GROUND,
    "data": GROUND,
    "training": GROUND | {"models", "pruning", "data"},
    "measures": GROUND | {"models", "pruning", "data", "training"},
    "analysis": GROUND,
    "figures": GROUND | {"analysis"},
    "report": GROUND | {"analysis", "figures"},
    "crate": GROUND,
    "config": GROUND,
    "planning": GROUND | {"config", "training"},
}
"""For each part of gst, the other parts that it may import; the command line may import all."""
COMMAND_LINE = {"__main__", "bench"}
TORCH_TOWER = {"models", "pruning", "data", "training", "measures"}
ABOVE_TORCH = {*TORCH_TOWER, *COMMAND_LINE, "planning"}
TORCH = {"torch", "torchvision"}
FILES = sorted(SOURCE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = ("gst", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the modules that import statements name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def imported(path: Path) -> set[str]:
    """Return all that a module imports, in functions and for type checking too."""
    return set(imports(list(ast.walk(ast.parse(path.read_text())))))


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_part_is_known() -> None:
    assert {part(module) for module in MODULES} - {""} <= {*MAY_IMPORT, *COMMAND_LINE}


def test_no_part_imports_what_stands_above_or_beside_it() -> None:
    wrong = {}
    for module, path in MODULES.items():
        allowed = MAY_IMPORT.get(part(module), set()) | {part(module), ""}
        used = {name for name in imported(path) if name.split(".")[0] == "gst"}
        wrong[module] = {name for name in used if part(name) not in allowed}
    assert {m: names for m, names in wrong.items() if names and part(m) not in COMMAND_LINE} == {}


def test_only_the_torch_tower_imports_torch_and_nothing_imports_snakemake() -> None:
    for module, path in MODULES.items():
        used = {name.split(".")[0] for name in imported(path)}
        assert "snakemake" not in used, module
        assert part(module) in ABOVE_TORCH or not used & TORCH, module


def test_there_is_no_circle() -> None:
    """Counts what is imported when a module is imported, so neither in functions nor for types."""
    graph = {}
    for module, path in MODULES.items():
        body = ast.parse(path.read_text()).body
        graph[module] = {name for name in imports(list(body)) if name in MODULES} - {module}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) == set(MODULES)


def test_the_light_tower_and_the_configuration_load_without_torch() -> None:
    light = [m for m in MODULES if part(m) not in ABOVE_TORCH]
    code = f"import sys, {', '.join(light)}\nprint([m for m in sys.modules if m in {TORCH!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(SOURCE.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


PRODUCT = """
import sys
import torch
import gst.measures.activations, gst.measures.flatness.cohort, gst.measures.influence
import gst.training.run
from gst.artifacts import write_rows
from gst.measures.flatness.hvp import Hessian
from gst.measures.flatness.loss import Loss

loss = Loss(torch.nn.Linear(2, 2), torch.ones(3, 2), torch.tensor([0, 1, 0]))
Hessian(loss)(loss.weights)
write_rows(sys.argv[1], [{"epoch": 0}, {"epoch": 1}])
print({"pandas", "torch._dynamo", "sympy"} & sys.modules.keys())
"""


def test_what_trains_and_measures_imports_neither_pandas_nor_torch_s_compiler(
    tmp_path: Path,
) -> None:
    """Each job is a process, and these take it longer than a small network."""
    command = [sys.executable, "-c", PRODUCT, str(tmp_path / "epochs.parquet")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"
