"""Lists in pages: by offset for people, by keyset cursor for programs."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.identifiers import is_ulid

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "SORT_FIELDS",
    "Cursor",
    "NumberedPage",
    "NumberedRequest",
    "Page",
    "PageRequest",
    "Sort",
]

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000

SORT_FIELDS = ("id", "name", "updated_at")
"""The members that lists can be sorted by."""


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of a list; ties are broken by id, in the same direction."""

    field: str = "id"
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> "Sort":
        """Read ``name`` (ascending) or ``-name`` (descending).

        Raises:
            InvalidError: it names no member that a list can be sorted by.
        """
        field = text.removeprefix("-")
        if field not in SORT_FIELDS:
            choices = ", ".join(f"{field} or -{field}" for field in SORT_FIELDS)
            raise InvalidError([FieldError("/sort", f"must be one of {choices}", "query")])
        return cls(field, descending=text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.field}" if self.descending else self.field


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after one row of a sorted list; it stays valid when that row is deleted."""

    sort: Sort
    value: str
    """The sorted member of the row, as text."""
    id: str

    def encode(self) -> str:
        """Return an opaque token, safe in a URL."""
        text = json.dumps([str(self.sort), self.value, self.id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, token: str) -> "Cursor":
        """Read what :meth:`encode` wrote.

        Raises:
            InvalidError: it is not such a token.
        """
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            sort, value, row_id = json.loads(
                base64.b64decode(padded, altchars=b"-_", validate=True)
            )
            cursor = cls(Sort.parse(sort), value, row_id)
            if not cursor._is_plausible():
                raise ValueError  # noqa: TRY301
        except (ValueError, TypeError, AttributeError, RecursionError, InvalidError):
            message = "must be a cursor from the 'next' member of an earlier page"
            raise InvalidError([FieldError("/after", message, "query")]) from None
        return cursor

    def _is_plausible(self) -> bool:
        """Tell whether the database can compare rows with it.

        Raises:
            ValueError, TypeError, AttributeError: it can't.
        """
        self.value.encode("utf-8")  # refuses lone surrogates
        if self.sort.field == "updated_at":
            return is_ulid(self.id) and datetime.fromisoformat(self.value).tzinfo is not None
        return is_ulid(self.id) and "\0" not in self.value


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    """Rows to skip, counted from ``after`` or from the start."""
    after: Cursor | None = None
    sort: Sort = Sort()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One part of a list."""

    items: Sequence[T]
    total: int
    """Rows that match the filters, on all pages."""
    next: Cursor | None
    """Where the next page begins; ``None`` on the last one."""


@dataclass(frozen=True, slots=True)
class NumberedRequest:
    """Which part is wanted of a list in the order of a number that only grows."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    """Rows to skip, counted from ``after`` or from the start."""
    after: int | None = None
    """The number of the row before."""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class NumberedPage(Generic[T]):
    """One part of such a list."""

    items: Sequence[T]
    has_more: bool
    last: int | None
    """The number of the last item; ``None`` where there is no item."""
    total: int | None = None
    """Rows on all pages, where that is known."""
