"""JSON Schema cost: a bound of the work of validation, for schemas from untrusted users.

Without references each subschema meets each part of a value at most once, so the work can be
counted before it is done: by walking schema and value together as validation does, but without
comparing anything, which takes a small part of its time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from configsvc_server.domain.schema.locations import (
    SCHEMA_KEYWORDS,
    locations,
)
from configsvc_server.domain.strict_json import (
    MAX_DEPTH,
    JsonObject,
    JsonValue,
    is_array,
    is_object,
)

__all__ = ["is_cheap"]

# About 50 milliseconds on a small machine, if everything in the value is wrong.
_MAX_STEPS = 8_000
_MAX_SCHEMA_SIZE = 3_000
_MAX_VALUES_SIZE = 20_000

# Messages quote values before they are shortened, which is quick, but not free.
_CHARACTERS_PER_UNIT = 200
_QUOTED_PER_STEP = 10
_COMPARED_PER_STEP = 4

# An error is handed on by every level above it.
_LEVELS_PER_STEP = 8

# A name that is wrong becomes an error around an error.
_STEPS_PER_NAME = 8

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


_QUOTING = frozenset(
    {
        "anyOf",
        "const",
        "contains",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "type",
    }
)
"""Keywords whose messages quote the value."""

_COMPARED = frozenset(
    {"const", "dependentRequired", "enum", "not", "oneOf", "properties", "required"}
)
"""Keywords that go through all of their own value, to compare or to quote it."""

_IN_PLACE = frozenset({"else", "if", "not", "then"})
"""Keywords whose one schema meets the same value as the schema around it."""

_Part: TypeAlias = tuple[JsonValue, JsonValue]
"""A subschema, and a part of the value that meets it."""


def is_cheap(schema: JsonValue, values: Sequence[JsonValue]) -> bool:
    """Return whether a check of ``schema`` and ``values`` has a small upper bound on its cost.

    The bound is a number of keywords that meet parts of the values, and of what these keywords
    compare and quote: it is for what takes less than about 50 milliseconds. It holds only for
    schemas whose keywords never cost more than that; all others are reported as not cheap,
    although many of them would be fast.

    Args:
        schema: any JSON value, valid as a schema or not.
        values: what is to be checked by it; none to check the schema alone.
    """
    if _size(schema, _MAX_SCHEMA_SIZE) is None or not all(
        keyword in _CHEAP_KEYWORDS or keyword.startswith("x-")
        for _, subschema in locations(schema)
        if is_object(subschema)
        for keyword in subschema
    ):
        return False
    if _size(values, _MAX_VALUES_SIZE) is None:
        return False
    steps = 0
    for cost in _Steps().of(schema, values):
        steps += cost
        if steps > _MAX_STEPS:
            return False
    return True


class _Steps:
    """Steps that validation takes."""

    def __init__(self) -> None:
        # By identity: of what lives for as long as this.
        self._sizes: dict[int, int] = {}

    def of(self, schema: JsonValue, values: Iterable[JsonValue]) -> Iterator[int]:
        """Yield the steps of each schema at each part of the values that it meets."""
        level: list[_Part] = [(schema, value) for value in values]
        depth = 0
        while level:
            following: list[_Part] = []
            for rules, value in level:
                if not is_object(rules):
                    continue
                yield self._own(rules, value) * (1 + depth // _LEVELS_PER_STEP)
                before = len(following)
                following.extend(_inner(rules, value))
                yield len(following) - before
            level = following
            depth += 1

    def _own(self, rules: JsonObject, value: JsonValue) -> int:
        """Return the steps of one schema at one part, without its subschemas."""
        steps = len(rules)
        for keyword, rule in rules.items():
            if keyword in _QUOTING:
                steps += self._size(value) // _QUOTED_PER_STEP
            if keyword in _COMPARED:
                steps += self._size(rule) // _COMPARED_PER_STEP
            elif keyword == "propertyNames" and is_object(value):
                steps += len(value) * _STEPS_PER_NAME
            elif keyword == "additionalProperties" and is_object(value):
                steps += len(value) // _COMPARED_PER_STEP
        return steps

    def _size(self, value: JsonValue) -> int:
        if isinstance(value, str):
            return 1 + len(value) // _CHARACTERS_PER_UNIT
        if not (is_object(value) or is_array(value)):
            return 1
        size = self._sizes.get(id(value))
        if size is None:
            items = chain.from_iterable(value.items()) if is_object(value) else value
            size = self._sizes[id(value)] = 1 + sum(map(self._size, items))
        return size


def _inner(rules: JsonObject, value: JsonValue) -> Iterator[_Part]:
    """Yield the subschemas of one schema that meet one part or parts of it, with these."""
    for keyword, rule in rules.items():
        if keyword in _IN_PLACE:
            yield rule, value
        elif keyword in {"allOf", "anyOf", "oneOf"} and is_array(rule):
            yield from ((each, value) for each in rule)
        elif is_object(value):
            yield from _inner_of_members(keyword, rule, rules, value)
        elif is_array(value):
            yield from _inner_of_items(keyword, rule, rules, value)


def _inner_of_members(
    keyword: str, rule: JsonValue, rules: JsonObject, value: JsonObject
) -> Iterator[_Part]:
    if keyword == "properties" and is_object(rule):
        yield from ((each, value[name]) for name, each in rule.items() if name in value)
    elif keyword == "dependentSchemas" and is_object(rule):
        yield from ((each, value) for name, each in rule.items() if name in value)
    elif keyword == "additionalProperties":
        known = rules.get("properties")
        names = known if is_object(known) else {}
        yield from ((rule, item) for name, item in value.items() if name not in names)
    elif keyword == "propertyNames":
        yield from ((rule, name) for name in value)


def _inner_of_items(
    keyword: str, rule: JsonValue, rules: JsonObject, value: Sequence[JsonValue]
) -> Iterator[_Part]:
    if keyword == "contains":
        yield from ((rule, item) for item in value)
    elif keyword == "prefixItems" and is_array(rule):
        yield from zip(rule, value, strict=False)
    elif keyword == "items":
        first = rules.get("prefixItems")
        yield from ((rule, item) for item in value[len(first) if is_array(first) else 0 :])


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
