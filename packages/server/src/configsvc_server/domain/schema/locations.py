"""JSON Schema locations: the subschemas of a schema, as opposed to data inside of it.

An object inside of ``enum``, ``const``, ``default``, ``examples`` or an unknown keyword is
data, even where it looks like a schema.
"""

from collections.abc import Iterator
from typing import TypeAlias

from configsvc_server.domain.schema.violations import Path
from configsvc_server.domain.strict_json import JsonObject, JsonValue, is_array, is_object

__all__ = [
    "IN_PLACE_KEYWORDS",
    "SCHEMA_ARRAY_KEYWORDS",
    "SCHEMA_KEYWORDS",
    "SCHEMA_MAP_KEYWORDS",
    "SchemaLocation",
    "locations",
    "subschemas",
]

SchemaLocation: TypeAlias = Path
"""Path from the root of a schema to a subschema."""

SCHEMA_KEYWORDS = frozenset(
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

SCHEMA_ARRAY_KEYWORDS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is an array of schemas."""

SCHEMA_MAP_KEYWORDS = frozenset(
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

IN_PLACE_KEYWORDS = frozenset(
    {"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"}
)
"""Keywords whose schemas apply to the same value as the schema around them."""


def subschemas(schema: JsonObject) -> Iterator[tuple[Path, JsonValue]]:
    """Yield the direct subschemas of ``schema``, each after its path from ``schema``."""
    for keyword, value in schema.items():
        if keyword in SCHEMA_KEYWORDS:
            yield (keyword,), value
        elif keyword in SCHEMA_ARRAY_KEYWORDS and is_array(value):
            for index, item in enumerate(value):
                yield (keyword, index), item
        elif keyword in SCHEMA_MAP_KEYWORDS and is_object(value):
            for name, item in value.items():
                # "dependencies" of older drafts may also name required members.
                if keyword != "dependencies" or not is_array(item):
                    yield (keyword, name), item


def locations(schema: JsonValue) -> Iterator[tuple[SchemaLocation, JsonValue]]:
    """Yield ``schema`` and all of its subschemas, each after its location.

    Outer ones come before inner ones. The schema need not be valid: any value at the location of
    a schema is yielded.
    """
    waiting: list[tuple[SchemaLocation, JsonValue]] = [((), schema)]
    while waiting:
        location, current = waiting.pop()
        yield location, current
        if is_object(current):
            waiting.extend((location + path, inner) for path, inner in subschemas(current))
