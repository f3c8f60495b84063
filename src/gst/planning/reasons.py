"""Why jobs would run, in plain words."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 3
"""Changes or files that are named before the rest is counted."""

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Reason:
    """Why one job would run.

    Attributes:
        rule: Name of its rule.
        forced: Whether the command line asks for it.
        outputs: How many files it writes.
        missing: Those that are not there.
        interrupted: Whether it was stopped while it wrote them.
        newer: Files that it reads and that are newer than what it wrote.
        inputs_before, inputs_now: What it read then and would read now.
        params_before, params_now: Params of its rule, as Python writes them, that are only then
            or only now. Settings are canonical JSON, code is a fingerprint.
        commit: Commit of the code that made what is there, if that was recorded.
        after: Rules of jobs that make anew what it reads.
    """

    rule: str
    forced: bool = False
    outputs: int = 0
    missing: Collection[str] = ()
    interrupted: bool = False
    newer: Collection[str] = ()
    inputs_before: Collection[str] = ()
    inputs_now: Collection[str] = ()
    params_before: Collection[str] = ()
    params_now: Collection[str] = ()
    commit: str | None = None
    after: Collection[str] = ()


def explain(reasons: Sequence[Reason]) -> str:
    """Return why jobs would run, those of one rule and one reason together."""
    if not reasons:
        return "Nothing would run: every file is there, and up to date."
    rules: dict[str, Counter[str]] = {}
    for reason in reasons:
        rules.setdefault(reason.rule, Counter())[in_words(reason)] += 1
    width = len(str(max(max(found.values()) for found in rules.values())))
    lines = [f"{_jobs(len(reasons))} would run."]
    for rule, found in rules.items():
        lines += ["", rule]
        lines += [f"  {number:{width}}  {text}" for text, number in found.most_common()]
    return "\n".join(lines)


def in_words(reason: Reason) -> str:
    """Return why a job would run, in one line."""
    return "; ".join(_parts(reason))


def _parts(reason: Reason) -> Iterator[str]:
    if reason.forced:
        yield "asked for on the command line"
    if reason.interrupted:
        yield "was stopped before it ended"
    if reason.missing:
        if len(reason.missing) == reason.outputs:
            yield "was not made yet"
        else:
            yield f"missing: {_listed(reason.missing)}"
    if reason.newer:
        yield f"newer than what was made of them: {_listed(reason.newer)}"
    if reason.inputs_before != reason.inputs_now:
        before, now = set(reason.inputs_before), set(reason.inputs_now)
        yield f"reads other files: {len(now - before)} more, {len(before - now)} fewer"
    old, new = map(_read, (reason.params_before, reason.params_now))
    if changes := list(_changes(old, new)):
        yield f"settings changed: {_listed(changes)}"
    if any(map(_is_code, new)):
        yield f"code changed since commit {reason.commit}" if reason.commit else "code changed"
    if reason.after:
        yield f"reads new results of {', '.join(reason.after)}"


def _read(params: Collection[str]) -> list[Any]:
    """Return params as values: of canonical JSON, what it says; of anything else, itself."""
    values = []
    for text in sorted(params):
        value = ast.literal_eval(text)
        if isinstance(value, str) and value.startswith("{"):
            value = json.loads(value)
        values.append(value)
    return values


def _is_code(value: object) -> bool:
    return isinstance(value, str) and bool(_FINGERPRINT.fullmatch(value))


def _changes(old: list[Any], new: list[Any]) -> Iterator[str]:
    """Yield each setting that differs, with both values; those left out have their default."""
    before, now = map(_settings, (old, new))
    for key in sorted(before.keys() | now.keys()):
        was, is_ = (flat.get(key, "default") for flat in (before, now))
        if was != is_:
            yield f"{key} {was} -> {is_}".strip()


def _settings(params: list[Any]) -> dict[str, str]:
    """Return settings as JSON, by dotted keys; a param that is a single value has no key."""
    found: dict[str, str] = {}
    for param in params:
        if isinstance(param, dict):
            found |= _flat(param)
        elif not _is_code(param):
            found[""] = json.dumps(param)
    return found


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, child in value.items():
        if isinstance(child, dict) and child:
            flat |= _flat(child, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(child)
    return flat


def _listed(items: Collection[str]) -> str:
    shown = list(items)[:SHOWN]
    more = len(items) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
