"""Whether checking by a JSON Schema is cheap for certain, whoever wrote it.

Without references and without keywords that look at a value more than once, every schema
meets every part of a value at most once: the work is at most the product of their sizes.
"""

from collections.abc import Sequence
from itertools import chain

from configsvc_server.domain.schema.locations import IN_VALUE, is_array, is_object, places
from configsvc_server.domain.strict_json import MAX_DEPTH, JsonValue

__all__ = ["is_cheap"]

_MAX_PRODUCT = 100_000
_MAX_SCHEMA = 20_000

# Messages quote values before they are shortened, which is quick, but not free.
_CHARACTERS_PER_NODE = 200

_CHEAP = (IN_VALUE - {"unevaluatedItems", "unevaluatedProperties"}) | {
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
"""Not among them: references, regular expressions, ``uniqueItems``, ``unevaluated…``."""


def is_cheap(schema: JsonValue, values: Sequence[JsonValue]) -> bool:
    """Tell whether checking ``schema``, or ``values`` by it, takes little time for certain."""
    size = _size(schema, _MAX_SCHEMA)
    if size is None or not all(
        keyword in _CHEAP or keyword.startswith("x-")
        for _, place in places(schema)
        if is_object(place)
        for keyword in place
    ):
        return False
    limit = _MAX_PRODUCT // size
    for value in values:
        weight = _size(value, limit)
        if weight is None:
            return False
        limit -= weight
    return True


def _size(value: JsonValue, limit: int) -> int | None:
    """Return how much there is in ``value``, or ``None`` if it is more than ``limit``."""
    size = 0
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH + 2):
        following: list[JsonValue] = []
        for item in level:
            size += 1
            if isinstance(item, str):
                size += len(item) // _CHARACTERS_PER_NODE
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
