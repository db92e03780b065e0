"""Scalar conversion: JSON values without members, and the types that JSON has as strings."""

from collections.abc import Callable
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from configsvc_client._values.paths import json_pointer
from configsvc_client.errors import FieldProblem

__all__ = [
    "ConversionError",
    "Converter",
    "Steps",
    "conversion_error",
    "literal",
    "null",
    "scalar",
]

Steps: TypeAlias = tuple[str | int, ...]
Converter: TypeAlias = Callable[[Any, Steps], Any]
"""Function that converts a JSON value; the steps lead to it from the outermost value.

It raises :class:`ConversionError`.
"""


class ConversionError(Exception):
    """Error of a value that does not fit a type, with every problem in it."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__(problems)
        self.problems = problems


def scalar(kind: type) -> Converter | None:
    """Return the converter to a type of values without members, ``None`` for another type."""
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple
    if issubclass(kind, Enum):
        return _enum(kind)
    return _text(kind)


def conversion_error(steps: Steps, message: str, value: Any = None) -> ConversionError:
    """Return the error of one value.

    Args:
        steps: the steps that lead to the value.
        message: what was expected.
        value: the value, to be quoted; ``None`` to quote nothing.
    """
    if isinstance(value, dict):
        message += ", not an object"
    elif isinstance(value, list):
        message += ", not an array"
    elif value is not None:
        message += f", not {value!r}"
    return ConversionError([FieldProblem(json_pointer(steps), message)])


def null(value: Any, steps: Steps) -> None:
    """Convert null to ``None``."""
    if value is not None:
        raise conversion_error(steps, "must be null", value)


def _enum(kind: type[Enum]) -> Converter:
    def convert(value: Any, steps: Steps) -> Any:
        for member in kind:
            if member.value == value and isinstance(value, bool) == isinstance(member.value, bool):
                return member
        raise conversion_error(
            steps, f"must be one of {', '.join(repr(m.value) for m in kind)}", value
        )

    return convert


def literal(choices: tuple[Any, ...]) -> Converter:
    """Return the converter to one of some values."""

    def convert(value: Any, steps: Steps) -> Any:
        for choice in choices:
            if choice == value and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        raise conversion_error(steps, f"must be one of {', '.join(map(repr, choices))}", value)

    return convert


def _scalar(kind: type, expected: str) -> Converter:
    def convert(value: Any, steps: Steps) -> Any:
        # True is an int in Python, but not in JSON.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise conversion_error(steps, f"must be {expected}", value)
        return value

    return convert


def _float(value: Any, steps: Steps) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise conversion_error(steps, "must be a number", value)
    return float(value)


_SIMPLE: dict[type, Converter] = {
    str: _scalar(str, "a string"),
    int: _scalar(int, "an integer"),
    bool: _scalar(bool, "true or false"),
    float: _float,
}


_EXPECTED = {
    datetime: "a date and time as RFC 3339 has it",
    date: "a date such as 2026-11-24",
    time: "a time such as 08:30",
}


def _text(kind: type) -> Converter | None:
    found = _parse(kind)
    if found is None:
        return None
    parse, expected = found

    def convert(value: Any, steps: Steps) -> Any:
        if isinstance(value, str):
            try:
                return parse(value)
            except (ValueError, ArithmeticError):
                pass
        raise conversion_error(steps, f"must be {expected}", value)

    return convert


def _parse(kind: type) -> tuple[Callable[[str], Any], str] | None:
    if kind in _EXPECTED:
        parse: Callable[[str], Any] = kind.fromisoformat  # type: ignore[attr-defined]
        return parse, _EXPECTED[kind]
    # Not at import, which is to be quick: most programs bind nothing.
    from decimal import Decimal  # noqa: PLC0415
    from uuid import UUID  # noqa: PLC0415

    expected = {
        Decimal: "a string with a decimal number",
        UUID: "a UUID",
        Path: "a string",
    }.get(kind)
    return None if expected is None else (kind, expected)
