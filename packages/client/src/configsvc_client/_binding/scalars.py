"""Scalar conversion: JSON values without members, and the types that JSON has as strings."""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

from configsvc_client._binding.problems import Converter, Steps, conversion_error, kind_of
from configsvc_client._values.secrets import Secret

__all__ = ["duration", "key", "literal", "null", "scalar"]


def scalar(kind: type) -> Converter | None:
    """Return the converter to a type of values without members, ``None`` for another type."""
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple
    if issubclass(kind, Enum):
        return _enum(kind)
    return _text(kind)


def key(kind: Any) -> Converter | None:
    """Return the converter of an object's key to a number, ``None`` for another type.

    JSON has no other keys than strings.
    """
    return _int_key if kind is int else None


def null(value: Any, steps: Steps) -> None:
    """Convert null to ``None``."""
    if value is not None:
        raise conversion_error(steps, "must be null", value)


def literal(choices: tuple[Any, ...]) -> Converter:
    """Return the converter to one of some values."""
    return _choice([(c.value if isinstance(c, Enum) else c, c) for c in choices])


def duration(value: Any, steps: Steps) -> timedelta:
    """Convert a number of seconds, an ISO 8601 duration or ``HH:MM:SS`` to a timedelta.

    As pydantic does, apart from years and months, whose lengths differ.
    """
    expected = "must be a number of seconds, or a duration such as PT1H30M or 01:30:00"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise conversion_error(steps, expected, value)
    try:
        made = _read_duration(value) if isinstance(value, str) else timedelta(seconds=value)
    except (ValueError, ArithmeticError):
        made = None
    if made is None:
        raise conversion_error(steps, expected)
    return made


def _read_duration(text: str) -> timedelta | None:
    found = _ISO_DURATION.fullmatch(text) or _CLOCK_DURATION.fullmatch(text)
    if found is None:
        return None
    sign, *_ = found.groups()
    parts = {
        unit: float(number.replace(",", "."))
        for unit, number in found.groupdict().items()
        if number is not None
    }
    made = timedelta(**parts)
    return -made if sign == "-" else made


_NUMBER: Final = r"\d+(?:[.,]\d+)?"

_ISO_DURATION: Final = re.compile(
    rf"([+-])?P(?=.)(?:(?P<weeks>{_NUMBER})W)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=.)(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?",
    re.ASCII,
)

_CLOCK_DURATION: Final = re.compile(
    r"([+-])?(?:(?P<days>\d+) ?(?:d|days?)?,? )?"
    r"(?P<hours>\d{1,2}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d(?:\.\d{1,6})?)",
    re.ASCII,
)


def _enum(kind: type[Enum]) -> Converter:
    return _choice([(member.value, member) for member in kind])


def _choice(choices: list[tuple[Any, Any]]) -> Converter:
    expected = f"must be one of {', '.join(repr(value) for value, _ in choices)}"
    kinds = {kind_of(value) for value, _ in choices}

    def convert(value: Any, steps: Steps) -> Any:
        for choice, made in choices:
            if choice == value and isinstance(value, bool) == isinstance(choice, bool):
                return made
        if kind_of(value) in kinds:
            raise conversion_error(steps, expected)
        raise conversion_error(steps, expected, value)

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
    try:
        return float(value)
    except OverflowError:
        raise conversion_error(steps, "must be a number below 1.8e308") from None


def _secret(value: Any, steps: Steps) -> Secret:
    if not isinstance(value, str):
        raise conversion_error(steps, "must be a string", value)
    return Secret(value)


def _int_key(value: Any, steps: Steps) -> int:
    if not re.fullmatch(r"0|-?[1-9]\d{0,4000}", value, re.ASCII):
        raise conversion_error(steps, "must have an integer as its name")
    return int(value)


_SIMPLE: dict[type, Converter] = {
    str: _scalar(str, "a string"),
    int: _scalar(int, "an integer"),
    bool: _scalar(bool, "true or false"),
    float: _float,
    timedelta: duration,
    Secret: _secret,
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
        if not isinstance(value, str):
            raise conversion_error(steps, f"must be {expected}", value)
        try:
            return parse(value)
        except (ValueError, ArithmeticError):
            # What was raised quotes the value.
            made = conversion_error(steps, f"must be {expected}")
        raise made

    return convert


def _parse(kind: type) -> tuple[Callable[[str], Any], str] | None:
    if kind in _EXPECTED:
        parse: Callable[[str], Any] = kind.fromisoformat  # type: ignore[attr-defined]
        return parse, _EXPECTED[kind]
    if kind.__module__ == "ipaddress":
        return _parse_address(kind)
    # Not at import, which is to be quick: most programs bind nothing.
    from decimal import Decimal  # noqa: PLC0415
    from uuid import UUID  # noqa: PLC0415

    expected = {
        Decimal: "a string with a decimal number",
        UUID: "a UUID",
        Path: "a string",
    }.get(kind)
    return None if expected is None else (kind, expected)


def _parse_address(kind: type) -> tuple[Callable[[str], Any], str] | None:
    version, subject = kind.__name__[:4], kind.__name__[4:].lower()
    expected = {
        "address": f"an {version} address",
        "network": f"an {version} network, without host bits",
        "interface": f"an {version} address with its network",
    }.get(subject)
    return None if expected is None else (kind, expected)
