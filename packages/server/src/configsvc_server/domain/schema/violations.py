"""What is wrong with a schema or with a value, in words for people.

Nobody wants to read a megabyte in a message: what is quoted is shortened.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from configsvc_server.domain.strict_json import JsonValue, dumps

__all__ = [
    "MAX_COLLECTED",
    "MAX_VIOLATIONS",
    "Path",
    "Violation",
    "first_by_path",
    "kind_of",
    "listed",
    "quoted",
]

Path = tuple[str | int, ...]
"""The way from the root of a JSON value to a place in it."""

MAX_VIOLATIONS = 20
"""How many violations are told at most."""

MAX_COLLECTED = 100
"""How many violations are looked for at most, to tell the first of them by path."""

_MAX_QUOTED = 60
_MAX_LISTED = 12


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that is broken, and where."""

    path: Path
    """Where in the checked value."""

    schema_pointer: str
    """JSON Pointer (RFC 6901) to the rule in the schema."""

    message: str
    """What was expected, to be read after the name of the field."""


def first_by_path(violations: Iterable[Violation]) -> list[Violation]:
    """Return the first few violations by path, each message once for a path."""
    found: dict[tuple[Path, str], Violation] = {}
    for violation in violations:
        found.setdefault((violation.path, violation.message), violation)
    return sorted(found.values(), key=_order)[:MAX_VIOLATIONS]


def _order(violation: Violation) -> tuple[list[tuple[bool, int, str]], str, str]:
    steps = [
        (False, step, "") if isinstance(step, int) else (True, 0, step) for step in violation.path
    ]
    return steps, violation.schema_pointer, violation.message


def kind_of(value: JsonValue) -> str:
    """Name the type of ``value``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a JSON object" if isinstance(value, Mapping) else "an array"


def quoted(value: JsonValue) -> str:
    """Quote ``value`` in at most about 60 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_QUOTED else value[: _MAX_QUOTED - 1] + "…")
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    if isinstance(value, Sequence):
        return "[…]" if value else "[]"
    return dumps(value).decode()


def listed(values: Sequence[JsonValue]) -> str:
    """Quote a list of values, its tail only counted when it is long."""
    text = ", ".join(map(quoted, values[:_MAX_LISTED]))
    return text if len(values) <= _MAX_LISTED else f"{text}, … ({len(values)} in all)"
