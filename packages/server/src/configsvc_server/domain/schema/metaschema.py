"""JSON Schema metaschema (draft 2020-12): what the value of each keyword must be.

The metaschema is a table here: validating by the metaschema itself takes a hundred times as
long, and its messages speak of the metaschema. A test compares the two.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from configsvc_server.domain.schema.locations import (
    SCHEMA_ARRAY_KEYWORDS,
    SCHEMA_MAP_KEYWORDS,
    locations,
)
from configsvc_server.domain.schema.violations import Path, Violation, quoted, type_name
from configsvc_server.domain.strict_json import JsonValue, is_array, is_object, json_pointer

__all__ = ["DIALECT", "metaschema_violations"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""URI of the only version of JSON Schema that is supported."""

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")

_ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")


def metaschema_violations(schema: JsonValue) -> Iterator[Violation]:
    """Yield a violation for every keyword of ``schema`` with an invalid value."""
    for location, current in locations(schema):
        if is_object(current):
            for keyword, value in current.items():
                check = _CHECKS.get(keyword)
                if check is not None and (message := check(value)) is not None:
                    yield _violation((*location, keyword), message)
        elif not isinstance(current, bool):
            message = f"must be a schema (a JSON object, true or false), not {type_name(current)}"
            yield _violation(location, message)


def _violation(path: Path, message: str) -> Violation:
    return Violation(path, json_pointer(path), message)


def _type(value: JsonValue) -> str | None:
    if is_array(value):
        is_valid = bool(value) and all(map(_is_type, value)) and _is_unique(value)
    else:
        is_valid = _is_type(value)
    return (
        None if is_valid else f"must be one of {', '.join(_TYPES)}, or a list of several of these"
    )


def _is_type(value: JsonValue) -> bool:
    return isinstance(value, str) and value in _TYPES


def _is_unique(strings: Sequence[JsonValue]) -> bool:
    return len({str(string) for string in strings}) == len(strings)


def _dialect(value: JsonValue) -> str | None:
    is_valid = isinstance(value, str) and value.removesuffix("#") == DIALECT
    return None if is_valid else f"must be {DIALECT}"


def _id(value: JsonValue) -> str | None:
    if not isinstance(value, str):
        return _string(value)
    return "must have no fragment" if "#" in value.removesuffix("#") else None


def _anchor(value: JsonValue) -> str | None:
    is_valid = isinstance(value, str) and _ANCHOR.fullmatch(value)
    return None if is_valid else "must be a name of letters, digits, '-', '_' and '.'"


def _string(value: JsonValue) -> str | None:
    return None if isinstance(value, str) else f"must be a string, not {type_name(value)}"


def _boolean(value: JsonValue) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {type_name(value)}"


def _array(value: JsonValue) -> str | None:
    return None if is_array(value) else f"must be an array, not {type_name(value)}"


def _number(value: JsonValue) -> str | None:
    return None if _is_number(value) else f"must be a number, not {type_name(value)}"


def _positive(value: JsonValue) -> str | None:
    is_valid = _is_number(value) and isinstance(value, int | float) and value > 0
    return None if is_valid else f"must be a number greater than 0, not {quoted(value)}"


def _count(value: JsonValue) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_valid = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if is_valid else f"must be 0 or a positive integer, not {quoted(value)}"


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_name_list(value: JsonValue) -> bool:
    return is_array(value) and all(isinstance(n, str) for n in value) and _is_unique(value)


def _names(value: JsonValue) -> str | None:
    return None if _is_name_list(value) else "must be a list of strings, each given once"


def _name_lists(value: JsonValue) -> str | None:
    is_valid = is_object(value) and all(map(_is_name_list, value.values()))
    return None if is_valid else "must be a JSON object of lists of strings, each given once"


def _schema_list(value: JsonValue) -> str | None:
    return None if is_array(value) and value else "must be a list of at least one schema"


def _schema_map(value: JsonValue) -> str | None:
    return None if is_object(value) else f"must be a JSON object of schemas, not {type_name(value)}"


def _dependencies(value: JsonValue) -> str | None:
    if is_object(value) and not all(map(_is_name_list, filter(is_array, value.values()))):
        return "must be a JSON object of schemas or lists of strings, each given once"
    return _schema_map(value)


def _vocabulary(value: JsonValue) -> str | None:
    is_valid = is_object(value) and all(isinstance(item, bool) for item in value.values())
    return None if is_valid else "must be a JSON object of true and false"


_CHECKS: dict[str, Callable[[JsonValue], str | None]] = {
    **dict.fromkeys(SCHEMA_ARRAY_KEYWORDS, _schema_list),
    **dict.fromkeys(SCHEMA_MAP_KEYWORDS, _schema_map),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$recursiveAnchor"), _anchor),
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "$comment"), _string),
    **dict.fromkeys(("title", "description", "format", "pattern"), _string),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), _string),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "x-secret", "uniqueItems"), _boolean),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minContains", "maxContains", "minProperties", "maxProperties"), _count),
    **dict.fromkeys(("enum", "examples"), _array),
    "$id": _id,
    "$schema": _dialect,
    "$vocabulary": _vocabulary,
    "dependencies": _dependencies,
    "dependentRequired": _name_lists,
    "multipleOf": _positive,
    "required": _names,
    "type": _type,
}
"""Check of each keyword's value: a function that returns a message, or ``None`` if valid."""
