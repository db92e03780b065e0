"""The parts of a statement that every list shares: filters, keyset cursor, order."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from psycopg import sql
from psycopg.sql import SQL, Composed, Identifier

from configsvc_server.db.database import Connection
from configsvc_server.domain.pages import Cursor, Page, PageRequest, Sort

__all__ = ["Filter", "Listed", "by_name", "conjunction", "fetch_page"]

T = TypeVar("T", bound="Listed")

Filter: TypeAlias = tuple[SQL, Sequence[object]]
"""A condition and its parameters."""

_CASTS = {"id": SQL("%s"), "name": SQL("%s"), "updated_at": SQL("%s::timestamptz")}


class Listed(Protocol):
    """What every row of a list has."""

    @property
    def id(self) -> str:
        """A ULID."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def updated_at(self) -> datetime:
        """When it was last written."""


def by_name(name: str | None, text: str | None) -> list[Filter]:
    """Return the filters of every list: the exact name, and a text to search for."""
    filters: list[Filter] = []
    if name is not None:
        filters.append((SQL("name = %s"), [name]))
    if text is not None:
        filters.append(_contains(text))
    return filters


def _contains(text: str) -> Filter:
    """Match rows whose name or comments contain ``text``, in whichever case."""
    # ESCAPE makes a percent sign or an underscore in the text mean itself.
    pattern = "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
    return (
        SQL("(name ILIKE %s ESCAPE '!' OR comments ILIKE %s ESCAPE '!')"),
        [pattern, pattern],
    )


def fetch_page(
    connection: Connection,
    *,
    table: str,
    columns: SQL,
    filters: Sequence[Filter],
    request: PageRequest,
    make: Callable[..., T],
    known_total: Filter | None = None,
) -> Page[T]:
    """Read one page and the number of rows on all pages.

    The page itself is found in an index, however far ``request.after`` is into the list.

    Args:
        connection: where from.
        table: its name.
        columns: what to read.
        filters: conditions that the rows meet.
        request: which part, in which order.
        make: makes an item of a row.
        known_total: finds the number of rows in ``totals``, where that has it; otherwise
            they are counted.
    """
    conditions: list[sql.Composable] = [condition for condition, _ in filters]
    parameters = [value for _, values in filters for value in values]
    if known_total is None:
        query = SQL("SELECT count(*) FROM {} WHERE {}")
        count = query.format(Identifier(table), conjunction(conditions))
        total = connection.execute(count, parameters).fetchone()
    else:
        query = SQL("SELECT coalesce(sum(amount), 0)::bigint FROM totals WHERE {}")
        total = connection.execute(query.format(known_total[0]), known_total[1]).fetchone()
    if request.after is not None:
        condition, values = _beyond(request.after)
        conditions.append(condition)
        parameters.extend(values)
    rows = connection.execute(
        SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT %s OFFSET %s").format(
            columns, Identifier(table), conjunction(conditions), _order(request.sort)
        ),
        # One more than asked for tells whether there is a next page.
        [*parameters, request.limit + 1, request.offset],
    ).fetchall()
    items = [make(*row) for row in rows[: request.limit]]
    has_more = len(rows) > request.limit
    return Page(
        items=items,
        total=total[0] if total else 0,
        next=_cursor(items[-1], request.sort) if has_more else None,
    )


def _cursor(item: Listed, sort: Sort) -> Cursor:
    values = {"id": item.id, "name": item.name, "updated_at": item.updated_at.isoformat()}
    return Cursor(sort, values[sort.field], item.id)


def conjunction(conditions: Sequence[sql.Composable]) -> Composed:
    """Return the condition that all of ``conditions`` hold."""
    return SQL(" AND ").join(conditions or [SQL("true")])


def _order(sort: Sort) -> Composed:
    direction = SQL("DESC" if sort.descending else "ASC")
    columns = ["id"] if sort.field == "id" else [sort.field, "id"]
    return SQL(", ").join(SQL("{} {}").format(Identifier(c), direction) for c in columns)


def _beyond(cursor: Cursor) -> tuple[Composed, list[Any]]:
    comparison = SQL("<" if cursor.sort.descending else ">")
    if cursor.sort.field == "id":
        return SQL("id {} %s").format(comparison), [cursor.id]
    return (
        SQL("({}, id) {} ({}, %s)").format(
            Identifier(cursor.sort.field), comparison, _CASTS[cursor.sort.field]
        ),
        [cursor.value, cursor.id],
    )
