"""Where in a JSON Schema (draft 2020-12) there are schemas, as opposed to data.

What looks like a schema inside of ``enum``, ``const``, ``default``, ``examples`` or an unknown
keyword is data.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

from configsvc_server.domain.schema.violations import Path
from configsvc_server.domain.strict_json import JsonObject, JsonValue

__all__ = [
    "IN_ARRAY",
    "IN_MAP",
    "IN_PLACE",
    "IN_VALUE",
    "is_array",
    "is_object",
    "places",
    "subschemas",
]

IN_VALUE = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords whose value is a schema."""

IN_ARRAY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""

IN_MAP = frozenset(
    {
        "$defs",
        "definitions",
        "dependencies",
        "dependentSchemas",
        "patternProperties",
        "properties",
    }
)
"""Keywords whose value is an object of schemas."""

IN_PLACE = frozenset({"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"})
"""Keywords whose schemas apply to the very value that the schema around them applies to."""


def is_object(value: JsonValue) -> TypeGuard[JsonObject]:
    """Tell whether ``value`` is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: JsonValue) -> TypeGuard[Sequence[JsonValue]]:
    """Tell whether ``value`` is a JSON array."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def subschemas(schema: JsonObject) -> Iterator[tuple[Path, JsonValue]]:
    """Return what stands in ``schema`` where a schema belongs, with the way to it."""
    for keyword, value in schema.items():
        if keyword in IN_VALUE:
            yield (keyword,), value
        elif keyword in IN_ARRAY and is_array(value):
            for index, item in enumerate(value):
                yield (keyword, index), item
        elif keyword in IN_MAP and is_object(value):
            for name, item in value.items():
                # "dependencies" of older drafts may also name required members.
                if keyword != "dependencies" or not is_array(item):
                    yield (keyword, name), item


def places(schema: JsonValue) -> Iterator[tuple[Path, JsonValue]]:
    """Return ``schema`` and everything in it that stands where a schema belongs.

    Outer ones come before inner ones; what is no schema at all is returned too.
    """
    waiting: list[tuple[Path, JsonValue]] = [((), schema)]
    while waiting:
        path, current = waiting.pop()
        yield path, current
        if is_object(current):
            waiting.extend((path + way, inner) for way, inner in subschemas(current))
