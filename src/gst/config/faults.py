"""Faults of a configuration in plain words: where, what was found, what is allowed.

What a type allows is told from its JSON schema, in errors and in the generated documentation
alike.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

Steps = tuple[str | int, ...]
"""Keys, and positions in lists, that lead to a value."""
Schema = dict[str, Any]
"""A JSON schema, or a node of one."""

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))(?:[eE]([-+]?)(\d+))?")
_BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
}


class Fault(NamedTuple):
    """Something wrong at one place of a configuration."""

    path: Steps
    message: str

    def __str__(self) -> str:
        steps = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)
        return ": ".join(filter(None, ("".join(steps).lstrip("."), self.message)))


class ConfigError(ValueError):
    """A configuration with faults; its text lists all of them."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join([f"{count} in the configuration:", *self.faults]))


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a question that suggests the known names nearest to a name, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def unknown_key(path: Steps, known: Collection[str]) -> Fault:
    """Return the fault of a key that a mapping does not have."""
    return Fault(path, f"unknown key{nearest(path[-1], known) or '.'} Known: {', '.join(known)}")


def missing(path: Steps, schema: Schema) -> Fault:
    """Return the fault of a key that is not there."""
    return Fault(path, f"is missing; needed: {needed(schema)}")


def mismatch(path: Steps, schema: Schema, found: object) -> Fault:
    """Return the fault of a value that a JSON schema does not allow."""
    message = f"found {_shown(found)}; needed: {needed(schema)}{_hint(schema, found)}"
    return Fault(path, message)


def choices(schema: Schema, node: Schema) -> list[Schema]:
    """Return the types that a node of a schema allows beside null, references followed."""
    if "$ref" in node:
        return choices(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    if "anyOf" not in node:
        return [] if node.get("type") == "null" else [node]
    return [found for choice in node["anyOf"] for found in choices(schema, choice)]


def kinds(node: Schema) -> dict[str, Schema]:
    """Return the types that a node's discriminating key chooses from, by its value."""
    mapping = node.get("discriminator", {}).get("mapping", {})
    return {kind: {"$ref": reference} for kind, reference in mapping.items()}


def needed(schema: Schema, node: Schema | None = None) -> str:
    """Say in words which values a JSON schema, or a node of it, allows."""
    node = schema if node is None else node
    words = [_needed(schema, choice) for choice in choices(schema, node)]
    null = ["null"] if {"type": "null"} in node.get("anyOf", ()) else []
    return ", or ".join(words + null)


def _needed(schema: Schema, node: Schema) -> str:
    if "enum" in node or "const" in node:
        return _one_of(node.get("enum", [node.get("const")]))
    if names := list(kinds(node)):
        return f"a mapping whose {node['discriminator']['propertyName']} is {_one_of(names)}"
    bounds = [f"{words} {node[key]:g}" for key, words in _BOUNDS.items() if key in node]
    bounded = f" {' and '.join(bounds)}" if bounds else ""
    match node:
        case {"type": "integer"}:
            return f"a whole number{bounded}"
        case {"type": "number"}:
            return f"a number{bounded}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "string", "pattern": _, "title": words}:
            return str(words)
        case {"type": "string"}:
            return "text"
        case {"type": "array", "items": items}:
            size = " of one or more" if "minItems" in node else ""
            return f"a list{size}: {needed(schema, items)}"
        case {"type": "object", "properties": properties}:
            return f"a mapping with the keys {', '.join(properties)}"
        case _:
            return f"a mapping{' of one or more names' if 'minProperties' in node else ''}"


def _one_of(values: Sequence[object]) -> str:
    *rest, last = map(str, values)
    return f"{', '.join(rest)} or {last}" if rest else last


def _shown(value: object) -> str:
    match value:
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
        case None:
            return "nothing"
        case str():
            text = f'the text "{value}"'
        case _:
            text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:56]}..."


def _hint(schema: Schema, found: object) -> str:
    options = choices(schema, schema)
    types = {option.get("type") for option in options}
    if isinstance(found, bool) and "string" in types:
        return "; YAML reads yes, no, on and off as true or false, so put quotes around them"
    if isinstance(found, int | float) and types == {"string"}:
        return "; if it is meant as text, put quotes around it"
    if not isinstance(found, str):
        return ""
    number = _NUMBER.fullmatch(found) if types & {"integer", "number"} else None
    if number is None:
        return nearest(found, [name for option in options for name in option.get("enum", ())])
    mantissa, sign, exponent = number.groups()
    if exponent is None:
        return "; write it without quotes"
    point = "" if "." in mantissa else ".0"
    return f"; write {mantissa}{point}e{sign or '+'}{exponent}, which YAML reads as a number"
