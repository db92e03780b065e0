"""Request validation, by the JSON Schemas that the OpenAPI document shows.

The messages of ``jsonschema`` quote whole documents and speak of schemas; people who sent a
request want to know which field is wrong and what was expected there.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from configsvc_server.domain.errors import MAX_ERRORS, FieldError, InvalidError
from configsvc_server.domain.strict_json import JsonValue, json_pointer

__all__ = ["Validator", "type_name"]

_TYPES = {
    "object": "a JSON object",
    "array": "an array",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


_MAX_COMPARED: Final = 64
"""Characters of an unknown member that are compared with the known ones."""


class Validator:
    """Checks documents by the schema components of an OpenAPI document."""

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        schemas = openapi["components"]["schemas"]
        # Looking up references takes longer than everything else that validation does.
        self._validators = {
            name: Draft202012Validator(_inline(schema, schemas)) for name, schema in schemas.items()
        }

    def check(self, document: JsonValue, schema: str) -> None:
        """Check ``document`` by the component ``schema``.

        Raises:
            InvalidError: it breaks the schema; the first broken rules are named.
        """
        fields = (
            field
            for error in self._validators[schema].iter_errors(document)
            for field in _describe(error)
        )
        # One more than are named tells that there are more; to find all may take long.
        errors = list(islice(fields, MAX_ERRORS + 1))
        if errors:
            raise InvalidError(errors)


def _inline(node: Any, schemas: Mapping[str, Any]) -> Any:
    """Replace every reference to a component by the component."""
    if isinstance(node, list):
        return [_inline(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    resolved = {key: _inline(value, schemas) for key, value in node.items() if key != "$ref"}
    pattern = resolved.get("pattern")
    if isinstance(pattern, str) and pattern.endswith("$"):
        # In JSON Schema that is the end of the text; in Python also before a last line break.
        resolved["pattern"] = pattern[:-1] + r"\Z"
    if "$ref" in node:
        target = schemas[node["$ref"].removeprefix("#/components/schemas/")]
        return {**_inline(target, schemas), **resolved}
    return resolved


def type_name(value: JsonValue) -> str:
    """Name the JSON type of ``value`` for people."""
    if isinstance(value, bool):
        return _TYPES["boolean"]
    if isinstance(value, int | float):
        return _TYPES["number"]
    if value is None:
        return _TYPES["null"]
    if isinstance(value, str):
        return _TYPES["string"]
    return _TYPES["object"] if isinstance(value, Mapping) else _TYPES["array"]


def _describe(error: ValidationError) -> Iterator[FieldError]:
    path = list(error.absolute_path)
    value: Any = error.instance
    expected: Any = error.validator_value
    match error.validator:
        case "required":
            missing = [name for name in expected if name not in value]
            # jsonschema reports each missing member by itself, in order.
            name = next(name for name in missing if repr(name) in error.message)
            yield FieldError(json_pointer([*path, name]), "is required")
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))  # type: ignore[union-attr]
            for name in value:
                if name not in known:
                    yield FieldError(json_pointer([*path, name]), _unknown(name, known))
        case "type":
            message = f"must be {_types(expected)}, not {type_name(value)}"
            yield FieldError(json_pointer(path), message)
        case "minLength":
            yield FieldError(json_pointer(path), "must not be empty")
        case "maxLength":
            message = f"must have at most {expected} characters, not {len(value)}"
            yield FieldError(json_pointer(path), message)
        case "pattern":
            message = error.schema.get("x-expected", f"must match {expected}")  # type: ignore[union-attr]
            yield FieldError(json_pointer(path), message)
        case "minimum":
            yield FieldError(json_pointer(path), f"must be at least {expected}, not {value}")
        case "maximum":
            yield FieldError(json_pointer(path), f"must be at most {expected}, not {value}")
        case "not":
            message = expected.get("x-unexpected", "has a value that is not allowed")
            yield FieldError(json_pointer(path), message)
        case _:
            yield FieldError(json_pointer(path), error.message)


def _types(expected: str | Sequence[str]) -> str:
    names = [expected] if isinstance(expected, str) else expected
    return " or ".join(_TYPES[name] for name in names)


def _unknown(name: str, known: Sequence[str]) -> str:
    # What is far longer than every known name resembles none, and comparing it takes long.
    close = difflib.get_close_matches(name[:_MAX_COMPARED], known, n=1)
    if close:
        return f"is not a known member; did you mean {close[0]!r}?"
    return f"is not a known member; known are {', '.join(known)}"
