"""JSON Schema messages: violations, in words for people, from the errors of jsonschema.

The library's own messages quote whole documents and speak of schemas; people who changed a
configuration want to know which member is wrong and what was expected there.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from jsonschema.exceptions import ValidationError

from configsvc_server.domain.schema.locations import SchemaLocation
from configsvc_server.domain.schema.violations import Violation, quoted, quoted_list, type_name
from configsvc_server.domain.strict_json import JsonValue, json_pointer

__all__ = ["FALSE", "Suggestions", "describe"]

FALSE = "\0false"
"""Keyword that stands for the schema ``false``: an object can be located, ``false`` can't."""

Locate: TypeAlias = Callable[[Any], SchemaLocation]
"""Function that returns the location of a subschema, which is given as the very object."""

_TYPES = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "a JSON object",
    "string": "a string",
}

# Errors of these mean that another alternative was intended, not that this one has a mistake.
_DECISIVE = ("type", "const", "enum", FALSE)


class Suggestions:
    """Finds which member was meant, for the first few names that are not allowed.

    Comparing two names takes the cube of their lengths at worst.
    """

    MAX_SEARCHES = 5

    MAX_COMPARISONS = 10_000
    """Pairs of characters that one search may compare."""

    def __init__(self) -> None:
        self._searches = 0

    def find(self, name: str, schema: Any) -> str | None:
        """Return the member that ``schema`` knows by a similar name, if it has one."""
        known = schema.get("properties", {})
        is_large = len(name) * sum(map(len, known)) > self.MAX_COMPARISONS
        if not known or is_large or self._searches == self.MAX_SEARCHES:
            return None
        self._searches += 1
        return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def describe(
    error: ValidationError, locate: Locate, suggestions: Suggestions
) -> Iterator[Violation]:
    """Yield the violations that an error of ``jsonschema`` stands for.

    Args:
        error: one of those that a validator yields for a value.
        locate: returns the location of the schema of an error.
        suggestions: those for all errors of one value.
    """
    path = tuple(error.absolute_path)
    match error.validator:
        case "anyOf" | "oneOf" if error.context:
            yield from _describe_alternatives(error, locate, suggestions)
        case "propertyNames":
            # Our own keyword has the error about the name as its context.
            for violation in describe(error.context[0], locate, suggestions):
                message = f"has a name that is not allowed: it {violation.message}"
                yield Violation(path, violation.schema_pointer, message)
        case "unevaluatedProperties":
            for name in _unevaluated_names(error):
                yield Violation((*path, name), _schema_pointer(error, locate), "is not allowed")
        case _:
            yield Violation(path, _schema_pointer(error, locate), _message(error, suggestions))


def _schema_pointer(error: ValidationError, locate: Locate) -> str:
    location = locate(error.schema)
    is_false = error.validator == FALSE
    return json_pointer(location if is_false else (*location, str(error.validator)))


def _message(error: ValidationError, suggestions: Suggestions) -> str:
    keyword: Any = error.validator
    value: Any = error.instance
    expected: Any = error.validator_value
    match keyword:
        case "required" | "dependentRequired" | "\0false":
            message = error.message
        case "additionalProperties":
            meant = suggestions.find(str(error.path[-1]), error.schema)
            message = f"is not allowed; did you mean {meant!r}?" if meant else "is not allowed"
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
    # An error without context: not too few of the alternatives are met, but too many.
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
    # "must be an integer, not a number" would be confusing.
    return quoted(value) if "integer" in expected and isinstance(value, float) else type_name(value)


def _one_of(values: Sequence[JsonValue]) -> str:
    if len(values) == 1:
        return f"must be {quoted(values[0])}"
    return f"must be one of {quoted_list(values)}" if values else "is not allowed"


def _unevaluated_names(error: ValidationError) -> list[str]:
    """Return the names of the members that an ``unevaluatedProperties`` error is about."""
    value: Any = error.instance
    names: list[str] = [name for name in value if repr(name) in error.message]
    return names or list(value)


def _describe_alternatives(
    error: ValidationError, locate: Locate, suggestions: Suggestions
) -> Iterator[Violation]:
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    path = tuple(error.absolute_path)
    value: Any = error.instance
    candidates = [branch for branch in branches.values() if _decisive_error(branch) is None]
    if not candidates:
        message = _joined_message(branches.values(), value)
        yield Violation(path, _schema_pointer(error, locate), message)
        return
    if len(candidates) > 1:
        candidates = [c for c in candidates if not _has_other_discriminator(c)] or candidates
    if len(candidates) == 1:
        for inner in candidates[0]:
            yield from describe(inner, locate, suggestions)
        return
    nearest = min(candidates, key=len)
    first = next(describe(nearest[0], locate, suggestions))
    member = json_pointer(first.path[len(path) :])
    which = "one" if error.validator == "anyOf" else "exactly one"
    reason = f"{member} {first.message}" if member else f"it {first.message}"
    message = f"must meet {which} of {len(branches)} alternatives; by the nearest, {reason}"
    yield Violation(path, _schema_pointer(error, locate), message)


def _decisive_error(branch: Iterable[ValidationError]) -> ValidationError | None:
    """Return the error, if there is one, by which the alternative is for other values."""
    decisive = (e for e in branch if not e.relative_path and e.validator in _DECISIVE)
    return next(decisive, None)


def _has_other_discriminator(branch: Iterable[ValidationError]) -> bool:
    """Return whether a member such as ``kind`` rules the alternative out."""
    return any(len(e.relative_path) == 1 and e.validator in {"const", "enum"} for e in branch)


def _joined_message(branches: Iterable[Iterable[ValidationError]], value: JsonValue) -> str:
    """Return one message that lists what the alternatives would have accepted."""
    types: list[str] = []
    values: list[JsonValue] = []
    for error in map(_decisive_error, branches):
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
        return f"must be {_types(types)}, or one of {quoted_list(values)}"
    return f"must be {_types(types)}, not {_actual(value, types)}" if types else _one_of(values)
