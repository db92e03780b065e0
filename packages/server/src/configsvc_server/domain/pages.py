"""Pages of lists: what part of a list is wanted, in which order, and what was found.

A page begins at an offset, for people, or after a position, for programs. A position is the values
of the sort columns of one row: the rows after it are found in an index however far into the list
they are, and it stays valid when that row is deleted (keyset pagination).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Self, TypeAlias, TypeVar

__all__ = ["MAX_PAGE_BYTES", "KeysetPosition", "Page", "PageRequest", "Sort"]

T = TypeVar("T")
U = TypeVar("U")

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of the items of a page; one item alone may have more."""

KeysetPosition: TypeAlias = tuple[object, ...]
"""Values of the sort columns of one row."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Order of a list: by some columns, all ascending or all descending."""

    columns: tuple[str, ...]
    """Together they are unique, so that every row has a position of its own."""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Part of a list that is wanted."""

    limit: int
    """How many items at most; fewer where they are large (:data:`MAX_PAGE_BYTES`)."""
    sort: Sort
    after: KeysetPosition | None = None
    """The position of the row before; ``None`` for the start of the list."""
    offset: int = 0
    """Rows to skip, counted from ``after`` or from the start."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list that was found."""

    items: Sequence[T]
    positions: Sequence[KeysetPosition]
    """The position of each item."""
    has_more: bool
    last: KeysetPosition | None
    """The position that the next page begins after; ``None`` where there is no item."""
    total: int | None = None
    """Rows on all pages; ``None`` where counting them would take too long."""

    def of(self, items: Sequence[U]) -> "Page[U]":
        """Return the page with something else in the place of each item."""
        return Page(items, self.positions, self.has_more, self.last, self.total)

    def cut(self, count: int) -> Self:
        """Return the page with its first ``count`` items alone."""
        if count >= len(self.items):
            return self
        return replace(
            self,
            items=self.items[:count],
            positions=self.positions[:count],
            has_more=True,
            last=self.positions[count - 1],
        )
