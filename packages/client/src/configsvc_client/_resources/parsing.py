"""Members of the server's answers, checked as they are read."""

from datetime import UTC, datetime

from configsvc_client._values.frozen import FrozenDict, freeze

__all__ = ["json_object", "moment", "number", "text", "when_and_who"]


def text(value: object) -> str:
    """Return a string.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return value


def number(value: object) -> int | None:
    """Return an integer, or ``None`` for null.

    Raises:
        TypeError: it is neither.
    """
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r} is no integer")
    return value


def moment(value: object) -> datetime:
    """Return a moment in UTC.

    Raises:
        TypeError, ValueError: it is none, or lacks its time zone.
    """
    found = datetime.fromisoformat(text(value))
    if found.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return found.astimezone(UTC)


def json_object(value: object) -> FrozenDict:
    """Return a JSON object, read-only.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object")
    frozen: FrozenDict = freeze(value)
    return frozen


def when_and_who(at: datetime, who: str, message: str | None) -> str:
    """Return a moment, an author and the first words of a message, for people."""
    line = f"{at:%Y-%m-%d %H:%M} UTC by {who}"
    words = " ".join((message or "").split())
    if not words:
        return line
    return f"{line}: {words if len(words) <= _WORDS else words[:_WORDS] + '…'}"


_WORDS = 60
