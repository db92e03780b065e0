"""Violations of a JSON Schema: the type, the order, and how messages quote values.

A message must stay readable however large the values are that it quotes: they are shortened.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from configsvc_server.domain.strict_json import JsonValue, dumps, is_object

__all__ = [
    "MAX_COLLECTED",
    "MAX_VIOLATIONS",
    "Path",
    "Violation",
    "first_by_path",
    "quoted",
    "quoted_list",
    "type_name",
]

Path: TypeAlias = tuple[str | int, ...]
"""Member names and array indexes that lead from the root of a JSON value into it."""

MAX_VIOLATIONS = 20
"""Largest number of violations that are reported."""

MAX_COLLECTED = 100
"""Largest number of violations that are collected, to report the first of them by path."""

_MAX_QUOTED = 60
_MAX_LISTED = 12


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of a schema that a value breaks."""

    path: Path
    """Path to the part of the value that breaks it."""

    schema_pointer: str
    """JSON Pointer (RFC 6901) to the rule in the schema."""

    message: str
    """Expectation that is not met, to be read after the name of the field."""


def first_by_path(violations: Iterable[Violation]) -> list[Violation]:
    """Return the first ``MAX_VIOLATIONS`` by path, without repeated messages for a path."""
    found: dict[tuple[Path, str], Violation] = {}
    for violation in violations:
        found.setdefault((violation.path, violation.message), violation)
    return sorted(found.values(), key=_sort_key)[:MAX_VIOLATIONS]


def _sort_key(violation: Violation) -> tuple[list[tuple[bool, int, str]], str, str]:
    steps = [
        (False, step, "") if isinstance(step, int) else (True, 0, step) for step in violation.path
    ]
    return steps, violation.schema_pointer, violation.message


def type_name(value: JsonValue) -> str:
    """Return the type of ``value`` for a message, such as ``a string``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a JSON object" if is_object(value) else "an array"


def quoted(value: JsonValue) -> str:
    """Return ``value`` for a message, in about 60 characters at most."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_QUOTED else value[: _MAX_QUOTED - 1] + "…")
    if is_object(value):
        return "{…}" if value else "{}"
    if isinstance(value, Sequence):
        return "[…]" if value else "[]"
    return dumps(value).decode()


def quoted_list(values: Sequence[JsonValue]) -> str:
    """Return ``values`` for a message, and only their number beyond the first few."""
    text = ", ".join(map(quoted, values[:_MAX_LISTED]))
    return text if len(values) <= _MAX_LISTED else f"{text}, … ({len(values)} in all)"
