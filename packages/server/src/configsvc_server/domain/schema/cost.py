"""JSON Schema cost: a bound of the work of validation, for schemas from untrusted users.

Without references and without keywords that compare parts of a value with one another, each
subschema meets each part of a value at most once: the work is at most the product of the two
sizes.
"""

from collections.abc import Sequence
from itertools import chain

from configsvc_server.domain.schema.locations import SCHEMA_KEYWORDS, locations
from configsvc_server.domain.strict_json import MAX_DEPTH, JsonValue, is_array, is_object

__all__ = ["is_cheap"]

_MAX_PRODUCT = 100_000
_MAX_SCHEMA_SIZE = 20_000

# Messages quote strings before they are shortened, which is quick, but not free.
_CHARACTERS_PER_UNIT = 200

_CHEAP_KEYWORDS = (SCHEMA_KEYWORDS - {"unevaluatedItems", "unevaluatedProperties"}) | {
    "$comment",
    "$defs",
    "$schema",
    "allOf",
    "anyOf",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "oneOf",
    "prefixItems",
    "properties",
    "readOnly",
    "required",
    "title",
    "type",
    "writeOnly",
}
"""All but references, regular expressions, ``uniqueItems`` and ``unevaluated…``."""


def is_cheap(schema: JsonValue, values: Sequence[JsonValue]) -> bool:
    """Return whether a check of ``schema`` and ``values`` has a small upper bound on its cost.

    The bound is the size of the schema times the size of all values, in JSON values and
    member names (a long string counts as several): at most 100,000. It holds only for schemas
    whose keywords never cost more than that; all others are reported as not cheap, although
    many of them would be fast.

    Args:
        schema: any JSON value, valid as a schema or not.
        values: what is to be checked by it; none to check the schema alone.
    """
    size = _size(schema, _MAX_SCHEMA_SIZE)
    if size is None or not all(
        keyword in _CHEAP_KEYWORDS or keyword.startswith("x-")
        for _, subschema in locations(schema)
        if is_object(subschema)
        for keyword in subschema
    ):
        return False
    limit = _MAX_PRODUCT // size
    for value in values:
        value_size = _size(value, limit)
        if value_size is None:
            return False
        limit -= value_size
    return True


def _size(value: JsonValue, limit: int) -> int | None:
    """Return the size of ``value``, or ``None`` if it is above ``limit`` or nested too deeply."""
    size = 0
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH + 2):
        following: list[JsonValue] = []
        for item in level:
            size += 1
            if isinstance(item, str):
                size += len(item) // _CHARACTERS_PER_UNIT
            elif is_object(item):
                following.extend(chain.from_iterable(item.items()))
            elif is_array(item):
                following.extend(item)
            if size + len(following) > limit:
                return None
        if not following:
            return size
        level = following
    return None
