"""Finds registered models, scores and datasets, with or without importing them.

A registry is a package whose modules register functions by name:

    @register("lenet", filters=())
    def lenet(...): ...

Names, and the literal facts given beside them, are read from the syntax trees, so that
configuration can be checked and code fingerprinted without importing torch. `load` then
imports the one module that holds the name: a new file in the package is a new entry, and
changes nothing for the others.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """One registered name: the module and function that hold it, and its literal facts."""

    name: str
    module: str
    function: str
    facts: dict[str, Any]


def register(name: str, **facts: Any) -> Callable[[F], F]:
    """Mark a function as the registry entry `name`; may be stacked for several names.

    Args:
        name: What configuration calls it. A literal.
        facts: Literal facts that configuration checks may need without importing the module.
    """

    def mark(function: F) -> F:
        return function

    return mark


@cache
def entries(package: str) -> dict[str, Entry]:
    """Return every entry of a registry package, by name, without importing its modules.

    Raises:
        ValueError: If two functions register the same name.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{package} is not a package")
    found: dict[str, Entry] = {}
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).glob("*.py")):
            module = f"{package}.{path.stem}"
            for node in ast.parse(path.read_text(), filename=str(path)).body:
                if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                    continue
                for call in node.decorator_list:
                    if not (
                        isinstance(call, ast.Call)
                        and isinstance(call.func, ast.Name)
                        and call.func.id == "register"
                    ):
                        continue
                    name = ast.literal_eval(call.args[0])
                    facts = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
                    if name in found:
                        raise ValueError(
                            f"{name!r} is registered twice: {found[name].module} and {module}"
                        )
                    found[name] = Entry(name, module, node.name, facts)
    return found


def find(package: str, name: str) -> Entry:
    """Return one entry of a registry package.

    Raises:
        KeyError: If there is none; the message lists the nearest names.
    """
    known = entries(package)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
    kind = package.rsplit(".", 1)[-1]
    raise KeyError(f"no {name!r} among {kind}; the nearest are: {', '.join(near)}")


def load(package: str, name: str) -> Any:
    """Import and return the function registered under a name.

    Raises:
        KeyError: If there is none; the message lists the nearest names.
    """
    entry = find(package, name)
    return getattr(importlib.import_module(entry.module), entry.function)
