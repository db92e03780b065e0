"""Parsing of members of JSON documents, with a check of their types."""

from datetime import UTC, datetime
from typing import Final

from configsvc_client._values.frozen import FrozenDict, freeze

__all__ = ["attribution", "json_object", "number", "text", "timestamp"]

_MAX_MESSAGE: Final = 60
"""Characters of a message that are shown."""


def text(value: object) -> str:
    """Return a string.

    Raises:
        TypeError: the value is not a string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def number(value: object) -> int | None:
    """Return an integer, or ``None`` for null.

    Raises:
        TypeError: the value is neither.
    """
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r} is no integer")
    return value


def timestamp(value: object) -> datetime:
    """Return a date and time in UTC.

    Raises:
        TypeError: the value is not a string.
        ValueError: the string is not a date and time with a time zone.
    """
    found = datetime.fromisoformat(text(value))
    if found.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return found.astimezone(UTC)


def json_object(value: object) -> FrozenDict:
    """Return a JSON object, read-only.

    Raises:
        TypeError: the value is not an object.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    frozen: FrozenDict = freeze(value)
    return frozen


def attribution(at: datetime, author: str, message: str | None) -> str:
    """Return a time, an author and the beginning of a message as one line for people."""
    line = f"{at:%Y-%m-%d %H:%M} UTC by {author}"
    words = " ".join((message or "").split())
    if not words:
        return line
    shown = words if len(words) <= _MAX_MESSAGE else words[:_MAX_MESSAGE] + "…"
    return f"{line}: {shown}"
