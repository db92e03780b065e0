"""Checks values by a JSON Schema (draft 2020-12) with the jsonschema library.

The library gets a rewritten copy of the schema: every reference is a JSON Pointer that is
known to lead somewhere, so there is nothing to look for or to fetch; ``false`` is an object,
so that it has a place; and what could change the dialect is gone.
"""

import difflib
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

from configsvc_server.domain.schema.locations import IN_ARRAY, IN_MAP, IN_VALUE, is_array, is_object
from configsvc_server.domain.schema.messages import FALSE, describe
from configsvc_server.domain.schema.references import REFERENCES, resolve
from configsvc_server.domain.schema.violations import (
    MAX_COLLECTED,
    Path,
    Violation,
    first_by_path,
)
from configsvc_server.domain.strict_json import JsonValue, json_pointer

__all__ = ["SchemaValidator"]

# These have done their duty once the references are resolved. "$schema" would bring in other
# dialects and the library's own classes in the place of ours.
_DROPPED = frozenset({"$schema", "$id", "$anchor", "$dynamicAnchor", "$vocabulary", FALSE})

_MAX_FOR_SUGGESTION = 50


class SchemaValidator:
    """Checks values by one schema, in which there must be no violations."""

    def __init__(self, schema: JsonValue) -> None:
        self._targets = resolve(schema).targets
        self._places: dict[int, Path] = {}
        self._copy = self._rewrite(schema, ())
        self._validator = _Validator(self._copy, registry=Registry())

    def violations(self, value: JsonValue) -> list[Violation]:
        """Return what is wrong with ``value``: the first by path, at most 20.

        Raises:
            RecursionError: the schema leads through too many references in a row.
        """
        errors = self._validator.iter_errors(value)
        found = (violation for error in errors for violation in describe(error, self._locate))
        return first_by_path(islice(found, MAX_COLLECTED))

    def _locate(self, schema: Any) -> Path:
        return self._places.get(id(schema), ())

    def _rewrite(self, schema: JsonValue, path: Path) -> JsonValue:
        if not is_object(schema):
            copy: dict[str, JsonValue] = {} if schema is True else {FALSE: True}
        else:
            copy = {
                keyword: self._rewrite_keyword(keyword, value, (*path, keyword))
                for keyword, value in schema.items()
                if keyword not in _DROPPED
            }
        self._places[id(copy)] = path
        return copy

    def _rewrite_keyword(self, keyword: str, value: JsonValue, path: Path) -> JsonValue:
        if keyword in REFERENCES:
            return "#" + quote(json_pointer(self._targets[path]))
        if keyword in IN_VALUE:
            return self._rewrite(value, path)
        if keyword in IN_ARRAY and is_array(value):
            return [self._rewrite(item, (*path, index)) for index, item in enumerate(value)]
        if keyword in IN_MAP and is_object(value):
            return {
                name: item
                if keyword == "dependencies" and is_array(item)
                else self._rewrite(item, (*path, name))
                for name, item in value.items()
            }
        return value


# The library's own functions for these keywords name what they are about in the message only,
# come in another order each time, or (for patternProperties) join expressions that can't be.


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
            yield ValidationError(_unknown(name, known), path=[name])
        else:
            yield from validator.descend(item, subschema, path=name)


def _unknown(name: str, known: Any) -> str:
    close = None
    if len(known) <= _MAX_FOR_SUGGESTION and len(name) <= _MAX_FOR_SUGGESTION:
        close = next(iter(difflib.get_close_matches(name, known, n=1)), None)
    return f"is not allowed; did you mean {close!r}?" if close else "is not allowed"


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
