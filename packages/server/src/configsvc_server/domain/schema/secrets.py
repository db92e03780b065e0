"""JSON Schema secrets: which values of a configuration a schema marks as secret.

The marks are the annotation ``writeOnly`` of JSON Schema, and ``x-secret``, which forms and code
generators give no other meaning. They hide a value from nobody who may read the configuration:
clients keep what is marked out of their logs.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from configsvc_server.domain.schema.locations import IN_PLACE_KEYWORDS, SchemaLocation, subschemas
from configsvc_server.domain.schema.references import (
    AppliedSchemas,
    References,
    resolve_references,
)
from configsvc_server.domain.schema.violations import Path
from configsvc_server.domain.strict_json import MAX_DEPTH, JsonValue, is_object, json_pointer

__all__ = ["SECRET_KEYWORDS", "schema_secrets"]

SECRET_KEYWORDS: Final = ("writeOnly", "x-secret")
"""Keywords that mark a value, if they are ``true``."""

_ANY: Final = "*"
_EVERYTHING: Final = [""]

# What fails "not" is no value of the configuration; what "propertyNames" is about is no value.
_IN_PLACE: Final = IN_PLACE_KEYWORDS - {"not"}
_OF_ANY_MEMBER: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "items",
        "patternProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)

# A schema may be a bomb; those that are not stay far below all of these.
_MAX_MEMBERS = 5_000
_MAX_STEPS = 50_000
_MAX_BYTES = 64 * 1024


class _TooManyError(Exception):
    """The schema is beyond a bound."""


def schema_secrets(schema: JsonValue) -> list[str]:
    """Return JSON Pointers to the values that are secret, with all that is in them.

    A step ``*`` stands for any member or item. Alternatives and conditions count whether or not a
    value meets them, and ``patternProperties`` for all members: rather too much is marked than
    too little. For the same reason everything is, by an empty pointer, where a schema with marks
    is too large to find them all.

    Args:
        schema: a schema without violations.
    """
    references = resolve_references(schema)
    if not any(map(_is_marked, references.schemas.values())):
        return []
    try:
        return _SecretCollector(references).secrets()
    except _TooManyError:
        return _EVERYTHING


class _SecretCollector:
    def __init__(self, references: References) -> None:
        self._references = references
        self._members = 0
        self._applied = AppliedSchemas(self._applied_by, max_steps=_MAX_STEPS)

    def secrets(self) -> list[str]:
        """Return the pointers, outer values first."""
        found: list[str] = []
        size = 0
        level: dict[Path, list[SchemaLocation]] = {(): [()]}
        for _ in range(MAX_DEPTH + 1):
            following: dict[Path, list[SchemaLocation]] = {}
            for member, locations in level.items():
                applied = self._applied.of(locations)
                if self._applied.is_exhausted:
                    raise _TooManyError
                if any(_is_marked(self._references.schemas[place]) for place in applied):
                    found.append(json_pointer(member))
                    size += len(found[-1])
                    if size > _MAX_BYTES:
                        raise _TooManyError
                    continue
                for step, inner in self._inner(applied):
                    following.setdefault((*member, step), []).append(inner)
            level = following
        return found

    def _inner(self, applied: Iterable[SchemaLocation]) -> Iterator[tuple[str | int, Path]]:
        """Yield the schemas of members and items, each after the step that leads to it."""
        for location in applied:
            schema = self._references.schemas[location]
            for path, _ in subschemas(schema) if is_object(schema) else ():
                step: str | int
                if path[0] in _OF_ANY_MEMBER:
                    step = _ANY
                elif path[0] in {"properties", "prefixItems"}:
                    step = path[1]
                else:
                    continue
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise _TooManyError
                yield step, location + path

    def _applied_by(self, location: SchemaLocation) -> Iterator[SchemaLocation]:
        schema = self._references.schemas[location]
        if not is_object(schema):
            return
        yield from self._references.targets_of(location)
        for path, _ in subschemas(schema):
            if path[0] in _IN_PLACE:
                yield location + path


def _is_marked(schema: JsonValue) -> bool:
    return is_object(schema) and any(schema.get(keyword) is True for keyword in SECRET_KEYWORDS)
