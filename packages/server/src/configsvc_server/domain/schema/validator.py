"""JSON Schema validation: of schemas, and of values with the jsonschema library.

The library gets a rewritten copy of the schema: every reference is a JSON Pointer that is
known to be resolvable, so there is nothing to search or to fetch; ``false`` is an object, so
that it can be located; and keywords that could change the dialect are left out.

The time of both is unbounded where a schema has references or regular expressions; schemas
from untrusted users are checked in another process.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from configsvc_server.domain.schema.locations import (
    SCHEMA_ARRAY_KEYWORDS,
    SCHEMA_KEYWORDS,
    SCHEMA_MAP_KEYWORDS,
    SchemaLocation,
    locations,
)
from configsvc_server.domain.schema.messages import FALSE, Suggestions, describe
from configsvc_server.domain.schema.metaschema import metaschema_violations
from configsvc_server.domain.schema.references import REFERENCE_KEYWORDS, resolve_references
from configsvc_server.domain.schema.violations import (
    MAX_COLLECTED,
    Path,
    Violation,
    first_by_path,
)
from configsvc_server.domain.strict_json import JsonValue, is_array, is_object, json_pointer

__all__ = ["SchemaValidator", "schema_violations"]

# They have no use once the references are resolved. "$schema" would bring in other dialects
# and the library's own classes instead of ours.
_DROPPED_KEYWORDS = frozenset({"$schema", "$id", "$anchor", "$dynamicAnchor", "$vocabulary", FALSE})


def schema_violations(schema: JsonValue) -> list[Violation]:
    """Return the violations in a schema itself: the first by path, at most 20.

    Its references and regular expressions are checked only if it has no metaschema violations.
    """
    found = list(islice(metaschema_violations(schema), MAX_COLLECTED))
    if not found:
        references = resolve_references(schema)
        found = [*references.violations, *islice(_invalid_patterns(schema), MAX_COLLECTED)]
    return first_by_path(found)


def _invalid_patterns(schema: JsonValue) -> Iterator[Violation]:
    for location, current in locations(schema):
        if not is_object(current):
            continue
        pattern = current.get("pattern")
        if isinstance(pattern, str):
            yield from _pattern_violations(pattern, (*location, "pattern"))
        by_pattern = current.get("patternProperties")
        if is_object(by_pattern):
            for name in by_pattern:
                yield from _pattern_violations(name, (*location, "patternProperties", name))


def _pattern_violations(pattern: str, path: Path) -> Iterator[Violation]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        message = f"must be a regular expression that Python's re understands: {reason}"
        yield Violation(path, json_pointer(path), message)


class SchemaValidator:
    """Validator of values by one schema, in which there must be no violations."""

    def __init__(self, schema: JsonValue) -> None:
        self._targets = resolve_references(schema).targets
        # By identity: the copy lives for as long as the validator.
        self._locations: dict[int, SchemaLocation] = {}
        self._copy = self._rewrite(schema, ())
        self._validator = _Validator(self._copy, registry=Registry())

    def violations(self, value: JsonValue) -> list[Violation]:
        """Return the violations in ``value``: the first by path, at most 20.

        Raises:
            RecursionError: the schema has too many references in a row.
        """
        errors = self._validator.iter_errors(value)
        suggestions = Suggestions()
        found = (
            violation
            for error in errors
            for violation in describe(error, self._locate, suggestions)
        )
        return first_by_path(islice(found, MAX_COLLECTED))

    def _locate(self, schema: Any) -> SchemaLocation:
        return self._locations.get(id(schema), ())

    def _rewrite(self, schema: JsonValue, location: SchemaLocation) -> JsonValue:
        if not is_object(schema):
            copy: dict[str, JsonValue] = {} if schema is True else {FALSE: True}
        else:
            copy = {
                keyword: self._rewrite_keyword(keyword, value, (*location, keyword))
                for keyword, value in schema.items()
                if keyword not in _DROPPED_KEYWORDS
            }
        self._locations[id(copy)] = location
        return copy

    def _rewrite_keyword(self, keyword: str, value: JsonValue, path: Path) -> JsonValue:
        if keyword in REFERENCE_KEYWORDS:
            return "#" + quote(json_pointer(self._targets[path]))
        if keyword in SCHEMA_KEYWORDS:
            return self._rewrite(value, path)
        if keyword in SCHEMA_ARRAY_KEYWORDS and is_array(value):
            return [self._rewrite(item, (*path, index)) for index, item in enumerate(value)]
        if keyword in SCHEMA_MAP_KEYWORDS and is_object(value):
            return {
                name: item
                if keyword == "dependencies" and is_array(item)
                else self._rewrite(item, (*path, name))
                for name, item in value.items()
            }
        return value


# The library's own functions for these keywords name the member in the message only, report in
# an unstable order, or (for patternProperties) join regular expressions that can't be joined.


def _required(_: Validator, names: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for name in names:
            if name not in value:
                yield ValidationError("is required", path=[name])


def _dependent_required(_: Validator, names: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for given in filter(value.__contains__, names):
            for name in names[given]:
                if name not in value:
                    yield ValidationError(f"is required where {given!r} is given", path=[name])


def _additional_properties(
    validator: Any, subschema: Any, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name, item in value.items():
        if name in known or any(re.search(pattern, name) for pattern in patterns):
            continue
        if FALSE in subschema:
            yield ValidationError("is not allowed", path=[name])
        else:
            yield from validator.descend(item, subschema, path=name)


def _property_names(
    validator: Any, subschema: Any, value: Any, _: Any
) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for name in value:
            for error in validator.descend(name, subschema):
                yield ValidationError("", path=[name], context=[error])


def _false(*_: Any) -> Iterator[ValidationError]:
    yield ValidationError("is not allowed")


_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        FALSE: _false,
        "additionalProperties": _additional_properties,
        "dependentRequired": _dependent_required,
        "propertyNames": _property_names,
        "required": _required,
    },
)
