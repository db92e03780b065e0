"""JSON Schemas (draft 2020-12) of configurations: are they right, and what do they ask for?

Nothing here is bounded in time where a schema has references or regular expressions; the
service that checks schemas of strangers does it in another process.
"""

import re
from collections.abc import Iterator
from itertools import islice

from configsvc_server.domain.schema.cost import is_cheap
from configsvc_server.domain.schema.defaults import schema_defaults
from configsvc_server.domain.schema.locations import is_object, places
from configsvc_server.domain.schema.metaschema import DIALECT, shape_violations
from configsvc_server.domain.schema.references import resolve
from configsvc_server.domain.schema.validator import SchemaValidator
from configsvc_server.domain.schema.violations import (
    MAX_COLLECTED,
    MAX_VIOLATIONS,
    Path,
    Violation,
    first_by_path,
)
from configsvc_server.domain.strict_json import JsonValue, json_pointer

__all__ = [
    "DIALECT",
    "MAX_VIOLATIONS",
    "SchemaValidator",
    "Violation",
    "is_cheap",
    "schema_defaults",
    "schema_violations",
    "value_violations",
]


def schema_violations(schema: JsonValue) -> list[Violation]:
    """Return what is wrong with a schema: the first by path, at most 20."""
    found = list(islice(shape_violations(schema), MAX_COLLECTED))
    if not found:
        found = [*resolve(schema).violations, *islice(_expressions(schema), MAX_COLLECTED)]
    return first_by_path(found)


def value_violations(schema: JsonValue, value: JsonValue) -> list[Violation]:
    """Return what is wrong with a value: the first by path, at most 20.

    Args:
        schema: a schema without violations.
        value: what to check by it.

    Raises:
        RecursionError: the schema leads through too many references in a row.
    """
    return SchemaValidator(schema).violations(value)


def _expressions(schema: JsonValue) -> Iterator[Violation]:
    """Return the regular expressions that are none to Python."""
    for path, place in places(schema):
        if not is_object(place):
            continue
        pattern = place.get("pattern")
        if isinstance(pattern, str):
            yield from _expression(pattern, (*path, "pattern"))
        named = place.get("patternProperties")
        if is_object(named):
            for name in named:
                yield from _expression(name, (*path, "patternProperties", name))


def _expression(pattern: str, path: Path) -> Iterator[Violation]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        message = f"must be a regular expression that Python's re understands: {reason}"
        yield Violation(path, json_pointer(path), message)
