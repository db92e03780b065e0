"""What jsonschema found wrong with a value, in words for people.

The messages of ``jsonschema`` quote whole documents and speak of schemas; people who changed a
configuration want to know which member is wrong and what was expected there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

from configsvc_server.domain.schema.violations import Path, Violation, kind_of, listed, quoted
from configsvc_server.domain.strict_json import JsonValue, json_pointer

__all__ = ["FALSE", "describe"]

FALSE = "\0false"
"""Stands for the schema ``false`` as a keyword, which unlike ``false`` has a place."""

Locate = Callable[[Any], Path]
"""Finds the place of a schema, which is given as the very object."""

_TYPES = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "a JSON object",
    "string": "a string",
}

# These say of a value that another alternative is meant, not that this one is done badly.
_DECISIVE = ("type", "const", "enum", FALSE)


def describe(error: ValidationError, locate: Locate) -> Iterator[Violation]:
    """Say what is wrong and where."""
    path = tuple(error.absolute_path)
    match error.validator:
        case "anyOf" | "oneOf" if error.context:
            yield from _describe_alternatives(error, locate)
        case "propertyNames":
            # Our own keyword gives what is wrong with the name as the context.
            inner = error.context[0]
            for found in describe(inner, locate):
                message = f"has a name that is not allowed: it {found.message}"
                yield Violation(path, found.schema_pointer, message)
        case "unevaluatedProperties":
            for name in _named(error):
                yield Violation((*path, name), _rule(error, locate), "is not allowed")
        case _:
            yield Violation(path, _rule(error, locate), _message(error))


def _rule(error: ValidationError, locate: Locate) -> str:
    place = locate(error.schema)
    return json_pointer(place if error.validator == FALSE else (*place, str(error.validator)))


def _message(error: ValidationError) -> str:
    keyword: Any = error.validator
    value: Any = error.instance
    expected: Any = error.validator_value
    match keyword:
        case "required" | "dependentRequired" | "additionalProperties" | "\0false":
            message = error.message  # from our own keywords
        case "type":
            message = f"must be {_types(expected)}, not {_actual(value, expected)}"
        case "pattern":
            message = f"must match the regular expression {quoted(expected)}"
        case "enum":
            message = _one_of(expected)
        case "const":
            message = _one_of([expected])
        case "minContains":
            message = f"must have at least {_count(expected, 'item')} of the kind that is asked for"
        case "maxContains":
            message = f"must have at most {_count(expected, 'item')} of the kind that is counted"
        case _ if keyword in _LENGTHS:
            message = _length(keyword, expected, value)
        case _ if keyword in _LIMITS:
            message = f"must be {_LIMITS[keyword]} {quoted(expected)}, not {quoted(value)}"
        case _:
            message = _FIXED.get(keyword, f"breaks the rule {keyword!r} of its schema")
    return message


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "greater than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}

_LENGTHS = {
    "minLength": ("at least", "character"),
    "maxLength": ("at most", "character"),
    "minItems": ("at least", "item"),
    "maxItems": ("at most", "item"),
    "minProperties": ("at least", "member"),
    "maxProperties": ("at most", "member"),
}

_FIXED = {
    "contains": "must have an item of the kind that is asked for",
    "not": "has a value that is not allowed",
    # With alternatives that are broken there is a context; here there are too many that fit.
    "oneOf": "must meet exactly one of the alternatives, but meets several",
    "unevaluatedItems": "has items that are not allowed",
    "uniqueItems": "must not have the same item twice",
}


def _length(keyword: str, expected: float, value: Sequence[JsonValue]) -> str:
    if keyword.startswith("min") and expected == 1:
        return "must not be empty"
    if keyword.startswith("max") and expected == 0:
        return "must be empty"
    bound, noun = _LENGTHS[keyword]
    return f"must have {bound} {_count(expected, noun)}, not {len(value)}"


def _count(number: float, noun: str) -> str:
    return f"{int(number)} {noun}" + ("" if number == 1 else "s")


def _types(expected: str | Sequence[str]) -> str:
    names = [expected] if isinstance(expected, str) else expected
    return " or ".join(_TYPES[name] for name in names)


def _actual(value: JsonValue, expected: str | Sequence[str]) -> str:
    # "must be an integer, not a number" would leave people wondering.
    return quoted(value) if "integer" in expected and isinstance(value, float) else kind_of(value)


def _one_of(values: Sequence[JsonValue]) -> str:
    if len(values) == 1:
        return f"must be {quoted(values[0])}"
    return f"must be one of {listed(values)}" if values else "is not allowed"


def _named(error: ValidationError) -> list[str]:
    """Return the members that an error about unevaluated ones is about."""
    value: Any = error.instance
    names: list[str] = [name for name in value if repr(name) in error.message]
    return names or list(value)


def _describe_alternatives(error: ValidationError, locate: Locate) -> Iterator[Violation]:
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    here = tuple(error.absolute_path)
    value: Any = error.instance
    meant = [branch for branch in branches.values() if _decisive(branch) is None]
    if not meant:
        yield Violation(here, _rule(error, locate), _joined(branches.values(), value))
        return
    if len(meant) > 1:
        meant = [branch for branch in meant if not _is_of_another_kind(branch)] or meant
    if len(meant) == 1:
        for inner in meant[0]:
            yield from describe(inner, locate)
        return
    nearest = min(meant, key=len)
    first = next(describe(nearest[0], locate))
    where = json_pointer(first.path[len(here) :])
    which = "one" if error.validator == "anyOf" else "exactly one"
    reason = f"{where} {first.message}" if where else f"it {first.message}"
    message = f"must meet {which} of {len(branches)} alternatives; by the nearest, {reason}"
    yield Violation(here, _rule(error, locate), message)


def _decisive(branch: Iterable[ValidationError]) -> ValidationError | None:
    """Return the error that says that a branch is about other values altogether."""
    decisive = (e for e in branch if not e.relative_path and e.validator in _DECISIVE)
    return next(decisive, None)


def _is_of_another_kind(branch: Iterable[ValidationError]) -> bool:
    """Tell whether a member such as ``kind`` says that another branch is meant."""
    return any(len(e.relative_path) == 1 and e.validator in {"const", "enum"} for e in branch)


def _joined(branches: Iterable[Iterable[ValidationError]], value: JsonValue) -> str:
    """Say in one message what any of several branches would have accepted."""
    types: list[str] = []
    values: list[JsonValue] = []
    for error in map(_decisive, branches):
        expected: Any = error and error.validator_value
        match error and error.validator:
            case "type":
                types.extend([expected] if isinstance(expected, str) else expected)
            case "enum":
                values.extend(expected)
            case "const":
                values.append(expected)
    types = list(dict.fromkeys(types))
    if types and values:
        return f"must be {_types(types)}, or one of {listed(values)}"
    return f"must be {_types(types)}, not {_actual(value, types)}" if types else _one_of(values)
