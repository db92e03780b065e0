"""Query parameters: typed readers that collect all errors before they raise."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.identifiers import is_ulid, normalize_ulid
from configsvc_server.domain.models import MAX_NAME

__all__ = ["QueryParams"]

D = TypeVar("D", int, None)


class QueryParams:
    """Reads parameters one by one and collects what is wrong with them."""

    def __init__(self, req: falcon.Request, known: frozenset[str]) -> None:
        self._params = {name: value for name, value in req.params.items() if name in known}
        self.errors = [
            FieldError(
                f"/{name}",
                f"is not a known parameter; known are {', '.join(sorted(known))}",
            )
            for name in req.params
            if name not in known
        ]

    def finish(self) -> None:
        """Raise what was collected.

        Raises:
            InvalidError: at least one parameter is wrong; every one is named.
        """
        if self.errors:
            raise InvalidError(self.errors)

    def raw(self, name: str) -> str | None:
        """Return a parameter as it was sent."""
        value = self._params.get(name)
        if isinstance(value, list):
            self.refuse(name, "must be given once")
            return None
        if value is not None and "\0" in value:
            self.refuse(name, "must not have a NUL character")
            return None
        return value

    def integer(
        self, name: str, default: D, minimum: int, maximum: int, *, advice: str = ""
    ) -> int | D:
        """Return an integer, or ``default`` where there is none.

        Args:
            name: the name of the parameter.
            default: what it is if it is not given.
            minimum: the least that it may be.
            maximum: the most that it may be.
            advice: what to do instead, to be read after what was expected.
        """
        text = self.raw(name)
        if text is None:
            return default
        # int() takes signs, blanks, underscores and digits of every script.
        if text.isascii() and text.isdigit() and len(text) <= len(str(maximum)):
            value = int(text)
            if minimum <= value <= maximum:
                return value
        self.refuse(name, f"must be an integer from {minimum} to {maximum}{advice}")
        return default

    def text(self, name: str) -> str | None:
        """Return a text as long as a name may be."""
        text = self.raw(name)
        if text is not None and not 1 <= len(text) <= MAX_NAME:
            self.refuse(name, f"must have 1 to {MAX_NAME} characters")
            return None
        return text

    def ulid(self, name: str) -> str | None:
        """Return an id as it is stored."""
        text = self.raw(name)
        if text is None:
            return None
        if not is_ulid(text):
            self.refuse(name, "must be a ULID: 26 characters of Crockford's base 32")
            return None
        return normalize_ulid(text)

    def timestamp(self, name: str) -> datetime | None:
        """Return a point in time with its offset from UTC (RFC 3339)."""
        text = self.raw(name)
        if text is None:
            return None
        try:
            timestamp = datetime.fromisoformat(text)
            if "T" in text.upper() and timestamp.tzinfo is not None:
                return timestamp.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self.refuse(name, "must be a time as RFC 3339 has it, such as 2026-11-24T08:30:00Z")
        return None

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """Return one of some texts."""
        text = self.raw(name)
        if text is not None and text not in choices:
            self.refuse(name, f"must be one of {', '.join(choices)}")
            return None
        return text

    def refuse(self, name: str, message: str) -> None:
        """Record that a parameter is wrong."""
        self.errors.append(FieldError(f"/{name}", message))
