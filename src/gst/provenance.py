"""What a result was made with: fingerprint of the code, versions, hardware, commit.

The fingerprint is taken from syntax trees, so that comments, docstrings, type hints, formatting,
file times and a fresh checkout change nothing. What counts for a script:

- the script and every gst module that it reaches through imports, in functions too;
- of registry packages, only the modules that hold the names asked for: `gst.registry` imports
  by name at run time, so that the other entries are not reached;
- of the ground modules, which everything shares, only the functions and constants that the code
  counted so far mentions by name. A recipe's fields and validation are left out: what they say
  is in the recipe's own text.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gst import registry

PACKAGE = Path(__file__).parent
GROUND = frozenset({"gst.artifacts", "gst.layout", "gst.randomness", "gst.recipe"})
"""Modules that count by definition, not as a whole."""
NOT_COUNTED = frozenset({"gst.config", "gst.datasets", "gst.provenance", "gst.registry"})
"""Modules and packages that describe, check and record: no number depends on them."""
SOFTWARE = ("gst", "torch", "torchvision", "numpy", "scipy", "pandas", "snakemake")


@dataclass(frozen=True)
class Code:
    """A piece of code: its normalised text, the names that it mentions, the modules it imports."""

    text: str
    mentions: frozenset[str]
    imports: frozenset[str]


def fingerprint(script: str | Path, names: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the hash of the code on which a script's results depend.

    Args:
        script: The Python file that a job runs.
        names: For each registry package, such as "gst.models", the names that the job uses.

    Returns:
        16 hexadecimal digits.

    Raises:
        KeyError: If a name is not registered.
        SyntaxError: If a file that counts is not valid Python.
    """
    asked = {(package, name) for package, some in (names or {}).items() for name in some}
    return _fingerprint(Path(script), frozenset(asked))


@cache
def _fingerprint(script: Path, names: frozenset[tuple[str, str]]) -> str:
    root = _read(script)
    counted = {"": root.text}
    mentions = set(root.mentions)
    waiting = {*root.imports, *(registry.find(*name).module for name in names)}
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        path = _locate(module)
        if path is None or module in reached or _stem(module) in NOT_COUNTED:
            continue
        reached.add(module)
        code = _read(path)
        waiting |= {*code.imports, module.rpartition(".")[0]}
        if module not in GROUND:
            counted[module] = code.text
            mentions |= code.mentions
    for name, code in _mentioned(reached & GROUND, mentions):
        counted[name] = code.text
    return hashlib.sha256(repr(sorted(counted.items())).encode()).hexdigest()[:16]


def _stem(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _mentioned(modules: set[str], mentions: set[str]) -> Iterator[tuple[str, Code]]:
    """Yield the definitions of ground modules that code mentions, and those that they mention."""
    unused = {
        f"{module}:{place}": (name, code)
        for module in modules
        for place, name, code in _definitions(module)
    }
    while found := [key for key, (name, _) in unused.items() if name in mentions]:
        for key in found:
            _, code = unused.pop(key)
            mentions |= code.mentions
            yield key, code


def _locate(module: str) -> Path | None:
    """Return the file of a gst module, or None if the name is not a module of gst."""
    first, *rest = module.split(".")
    if first != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*rest)
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _read(path: Path) -> Code:
    return _code(ast.parse(path.read_bytes(), filename=str(path)))


@cache
def _definitions(module: str) -> list[tuple[str, str, Code]]:
    """Return a ground module's definitions: place in the module, name, code.

    Methods count by their own names, dunder methods by that of their class. Fields and pydantic
    validators do not count.
    """
    path = _locate(module)
    assert path is not None
    found = []
    for node in ast.parse(path.read_bytes(), filename=str(path)).body:
        match node:
            case ast.FunctionDef(name=name):
                found.append((name, name, _code(node)))
            case ast.Assign(targets=targets):
                names = frozenset[str]().union(*(_code(target).mentions for target in targets))
                found += [(name, name, _code(node)) for name in names]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append((name, name, _code(node)))
            case ast.ClassDef(name=owner, body=body):
                found += [
                    (f"{owner}.{method.name}", _known_as(owner, method.name), _code(method))
                    for method in body
                    if isinstance(method, ast.FunctionDef) and not _validates(method)
                ]
    return found


def _known_as(owner: str, method: str) -> str:
    return owner if method.startswith("__") else method


def _validates(method: ast.FunctionDef) -> bool:
    return any("validator" in ast.unparse(decorator) for decorator in method.decorator_list)


def _code(tree: ast.AST) -> Code:
    mentions: set[str] = set()
    imports: set[str] = set()
    text = repr(_plain(tree, mentions, imports))
    return Code(text, frozenset(mentions), frozenset(imports))


def _plain(node: object, mentions: set[str], imports: set[str]) -> object:
    """Return a syntax tree as nested tuples, without what changes no result.

    Empty fields are left out, since Python's versions differ in which they have.
    """
    match node:
        case ast.Import(names=names):
            imports |= {alias.name for alias in names}
        case ast.ImportFrom(module=str(module), names=names):
            imports |= {module, *(f"{module}.{alias.name}" for alias in names)}
            mentions |= {alias.name for alias in names}
        case ast.Name(id=name) | ast.Attribute(attr=name):
            mentions.add(name)
    match node:
        case ast.AST():
            fields = {
                name: _plain(value, mentions, imports)
                for name, value in ast.iter_fields(node)
                if name not in ("annotation", "returns", "type_comment", "type_params", "kind")
            }
            filled = tuple((name, value) for name, value in fields.items() if value is not None)
            return (type(node).__name__, *filled)
        case list():
            kept = [item for item in node if not _is_remark(item)]
            return tuple(_plain(item, mentions, imports) for item in kept) or None
        case _:
            return node


def _is_remark(node: object) -> bool:
    """Whether a statement is a string that stands alone, such as a docstring."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False


@cache
def environment(gpu: str | None = None) -> dict[str, Any]:
    """Describe the software and the machine of a job.

    Args:
        gpu: Name of the accelerator that the job computes on, if any.

    Returns:
        "versions": version of Python and of each installed package that matters, and the git
        commit of the checkout with "dirty" (whether tracked files differ from it), both None
        outside of a checkout. "hardware": cpu, cores, memory_gb, gpu.
    """
    return {
        "versions": {"python": platform.python_version(), **_installed(), **_commit()},
        "hardware": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory_gb": _memory_gb(),
            "gpu": gpu,
        },
    }


def _installed() -> dict[str, str]:
    found = {}
    for package in SOFTWARE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> dict[str, Any]:
    root = PACKAGE.parents[1]
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changed)}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (OSError, ValueError):
        return None
