"""Reads plain data into typed values, with all faults at once.

Pydantic drops a value of which any part has a fault. Here every field is read by itself and what
is sound is kept, so that what must hold between settings can be checked in the same report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from gst.config.faults import Fault, Schema, Steps, choices, mismatch, missing, unknown_key

_NOTHING = object()
"""Stands for a value of which nothing is sound."""


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    config = None if models_of(annotation) else ConfigDict(allow_inf_nan=False)
    return TypeAdapter(annotation, config=config)


@cache
def types_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the types of a model's fields as they are written."""
    return get_type_hints(model, include_extras=True)


@cache
def schema_of(annotation: Any) -> Schema:
    """Return the JSON schema of a type; not to be changed."""
    return _adapter(annotation).json_schema()


def read_fields(
    model: type[BaseModel], data: Mapping[Any, Any], path: Steps = ()
) -> tuple[dict[str, Any], list[Fault]]:
    """Read the fields of a model, each by itself.

    Args:
        model: The type to read.
        data: Plain data, as YAML has it.
        path: Where the data stand.

    Returns:
        What is sound of each field, by name, and all faults. A field that is not given has its
        default; one of which nothing is sound is left out.
    """
    fields = model.model_fields
    faults = [unknown_key((*path, str(key)), fields) for key in data if key not in fields]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        here = (*path, name)
        annotation = types_of(model)[name]
        if name in data:
            value, more = _read(annotation, data[name], here)
            faults += more
            if value is not _NOTHING:
                values[name] = value
        elif field.is_required():
            faults.append(missing(here, schema_of(annotation)))
        else:
            values[name] = field.get_default(call_default_factory=True)
    return values, faults


def _read(annotation: Any, data: object, path: Steps) -> tuple[Any, list[Fault]]:
    """Return what is sound of a value, and its faults."""
    if annotation is Any:
        return data, []
    if isinstance(data, dict) and data and (types := entries_of(annotation)):
        return _read_entries(types, data, path)
    if isinstance(data, dict) and (models := models_of(annotation)):
        return _read_model(models, data, path)
    return _read_plain(annotation, data, path)


def _read_entries(
    types: tuple[Any, Any], data: dict[Any, Any], path: Steps
) -> tuple[dict[str, Any], list[Fault]]:
    key_type, value_type = types
    entries: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, child in data.items():
        here = (*path, str(key))
        faults += _read_plain(key_type, key, here)[1]
        value, more = _read(value_type, child, here)
        faults += more
        if value is not _NOTHING:
            entries[str(key)] = value
    return entries, faults


def _read_model(
    models: list[type[BaseModel]], data: dict[Any, Any], path: Steps
) -> tuple[Any, list[Fault]]:
    model = models[0]
    if len(models) > 1:
        by_kind = {k: m for m in models for k in get_args(m.model_fields["kind"].annotation)}
        kind = data.get("kind")
        if str(kind) not in by_kind:
            return _NOTHING, [mismatch((*path, "kind"), {"enum": list(by_kind)}, kind)]
        model = by_kind[str(kind)]
    values, faults = read_fields(model, data, path)
    sound = model.model_construct(**values)
    with suppress(AttributeError):
        faults += [Fault(path, reason) for reason in objections(model, sound)]
    return sound, faults


def objections(model: type[BaseModel], value: BaseModel) -> list[str]:
    """Return what a model's own validators have against a value.

    Raises:
        AttributeError: If they need a part that the value lacks.
    """
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [str(one["ctx"]["error"]) for one in error.errors()]
    return []


def _read_plain(annotation: Any, data: Any, path: Steps) -> tuple[Any, list[Fault]]:
    """Read a value that is no mapping, or one of any content."""
    schema = schema_of(annotation)
    try:
        text = json.dumps(data, default=str)
        return _adapter(annotation).validate_json(text, strict=True), []
    except ValidationError as refusal:
        errors = refusal.errors(include_url=False)
    if reasons := [error["ctx"]["error"] for error in errors if error["type"] == "value_error"]:
        return _NOTHING, [Fault(path, str(reason)) for reason in reasons]
    places = [error["loc"][-1] for error in errors if error["loc"]]
    if elements := [place for place in places if isinstance(place, int)]:
        items = next(one["items"] for one in choices(schema, schema) if "items" in one)
        return _NOTHING, [mismatch((*path, at), items, data[at]) for at in elements]
    return _NOTHING, [mismatch(path, schema, data)]


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a type chooses from; none if it is of another sort."""
    return [
        option
        for option in _options(annotation)
        if isinstance(option, type) and issubclass(option, BaseModel)
    ]


def entries_of(annotation: Any) -> tuple[Any, Any] | None:
    """Return the types of a mapping's keys and values; None if a type is of another sort."""
    for option in _options(annotation):
        if get_origin(option) is dict:
            key_type, value_type = get_args(option)
            return key_type, value_type
    return None


def _options(annotation: Any) -> list[Any]:
    """Return the types that a type allows, without what `Annotated` adds."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [annotation]
