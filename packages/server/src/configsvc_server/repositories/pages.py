"""Pages of rows: filters, keyset positions, and the one statement that reads a page."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

from psycopg.errors import QueryCanceled
from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.types.json import set_json_loads

from configsvc_server.db.connections import Connection
from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.pages import (
    MAX_PAGE_BYTES,
    KeysetPosition,
    Page,
    PageRequest,
    Sort,
)
from configsvc_server.domain.strict_json import StoredObject

__all__ = [
    "SEARCH_TIMEOUT",
    "Condition",
    "Query",
    "conjunction",
    "count_rows",
    "fetch_page",
    "name_conditions",
    "parameters_of",
    "qualified",
    "search",
    "stored_total",
]

T = TypeVar("T")

SEARCH_TIMEOUT: Final = 2.0
"""Seconds that each statement of a search for a text may take."""

Condition: TypeAlias = tuple[Composable, Sequence[object]]
"""A condition on rows, and its parameters."""

Query: TypeAlias = tuple[SQL | Composed, Sequence[object]]
"""A whole statement, and its parameters."""


def conjunction(conditions: Sequence[Condition]) -> Composed:
    """Return the condition that all of ``conditions`` hold."""
    return SQL(" AND ").join([condition for condition, _ in conditions] or [SQL("true")])


def parameters_of(conditions: Sequence[Condition]) -> list[object]:
    """Return the parameters of ``conditions``, in order."""
    return [value for _, values in conditions for value in values]


def qualified(table: str, columns: str) -> str:
    """Return ``columns``, each with the table before it."""
    return ", ".join(f"{table}.{column}" for column in columns.split(", "))


def name_conditions(name: str | None, text: str | None) -> list[Condition]:
    """Return the conditions that lists of named things have in common.

    Args:
        name: the exact name.
        text: what the name or the comments contain, case-insensitively.
    """
    conditions: list[Condition] = []
    if name is not None:
        conditions.append((SQL("name = %s"), [name]))
    if text is not None:
        # ESCAPE makes a percent sign or an underscore in the text mean itself.
        pattern = "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        conditions.append(
            (
                SQL("(name ILIKE %s ESCAPE '!' OR comments ILIKE %s ESCAPE '!')"),
                [pattern, pattern],
            )
        )
    return conditions


@contextmanager
def search(connection: Connection, text: str | None) -> Iterator[None]:
    """Bound the statements of the block, where they look for a text.

    Where PostgreSQL has ``pg_trgm`` an index finds it; otherwise every row is looked at.

    Raises:
        InvalidError: that takes too long.
    """
    if text is None:
        yield
        return
    try:
        with connection.transaction():
            milliseconds = round(SEARCH_TIMEOUT * 1000)
            connection.execute(
                "SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)]
            )
            yield
    except QueryCanceled:
        message = (
            f"takes more than {SEARCH_TIMEOUT:g} seconds to search for: narrow it by the "
            "application, or look for an exact name"
        )
        raise InvalidError([FieldError("/q", message)]) from None


def count_rows(table: str, conditions: Sequence[Condition]) -> Query:
    """Return the query for the number of rows that meet ``conditions``."""
    query = SQL("SELECT count(*) FROM {} WHERE {}")
    return query.format(Identifier(table), conjunction(conditions)), parameters_of(conditions)


def stored_total(entity: str, application_id: str = "") -> Query:
    """Return the query for a number of rows that the table ``totals`` keeps."""
    return (
        SQL(
            "SELECT coalesce(sum(amount), 0)::bigint FROM totals "
            "WHERE entity = %s AND application_id = %s"
        ),
        [entity, application_id],
    )


def fetch_page(
    connection: Connection,
    *,
    table: str,
    columns: SQL,
    conditions: Sequence[Condition],
    request: PageRequest,
    make: Callable[..., T],
    total: Query | None = None,
    keys_first: bool = False,
    documents: Sequence[str] = (),
) -> Page[T]:
    """Read one page, which is found in an index however far into the list it is.

    Args:
        connection: where from.
        table: its name.
        columns: what to read.
        conditions: what the rows meet.
        request: which part, in which order.
        make: makes an item of the columns of a row; JSON is a ``StoredObject``.
        total: finds the number of rows on all pages, if that is wanted.
        keys_first: find the sort columns alone before the rows. PostgreSQL takes the rows that
            meet a condition to be spread evenly, and would rather walk through all others until a
            page is full; the sort columns alone are in the index of the condition.
        documents: the columns of the primary key, where rows have documents and a ``size``: the
            page ends where the next document would no longer fit, and no more of them are read.
    """
    found = None if total is None else connection.execute(*total).fetchone()
    selected = list(conditions)
    if request.after is not None:
        selected.append(_beyond(request.sort, request.after))
    identity = list(dict.fromkeys([*request.sort.columns, *documents]))
    template = _FITTING if documents else _KEYS_FIRST if keys_first else _ROWS
    bounds = [request.limit, MAX_PAGE_BYTES] if documents else []
    cursor = connection.cursor()
    set_json_loads(_as_stored, context=cursor)
    rows = cursor.execute(
        SQL(template).format(
            columns=columns,
            key=SQL(", ").join(map(Identifier, request.sort.columns)),
            identity=SQL(", ").join(map(Identifier, identity)),
            table=Identifier(table),
            where=conjunction(selected),
            order=_order(request.sort),
            found_order=_order(request.sort, "found"),
            matching=_matching(table, documents or request.sort.columns),
        ),
        # One more than asked for tells whether there is a next page.
        [*parameters_of(selected), request.limit + 1, request.offset, *bounds],
    ).fetchall()
    shown = rows[: request.limit]
    width = len(request.sort.columns)
    positions = [tuple(row[-width - 1 : -1]) for row in shown]
    return Page(
        items=[make(*row[: -width - 1]) for row in shown],
        positions=positions,
        # The last column is how many there are, where that is more than were read.
        has_more=bool(rows) and (rows[0][-1] or len(rows)) > len(shown),
        last=positions[-1] if shown else None,
        total=None if found is None else found[0],
    )


_ROWS = (
    "SELECT {columns}, {key}, NULL FROM {table} WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s"
)

# The inner limit keeps PostgreSQL from joining with the whole table.
_KEYS_FIRST = (
    "WITH found AS MATERIALIZED ("
    "SELECT {key} FROM {table} WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s"
    ") SELECT page.* FROM found CROSS JOIN LATERAL ("
    "SELECT {columns}, {key}, NULL FROM {table} WHERE {matching} LIMIT 1"
    ") AS page ORDER BY {found_order}"
)

_FITTING = (
    "WITH candidates AS MATERIALIZED ("
    "SELECT {identity}, size FROM {table} WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s"
    "), measured AS ("
    "SELECT *, row_number() OVER running AS place, sum(size) OVER running AS bytes, "
    "count(*) OVER () AS amount "
    "FROM candidates WINDOW running AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)"
    "), found AS ("
    "SELECT * FROM measured WHERE place = 1 OR (place <= %s AND bytes <= %s)"
    ") SELECT page.*, found.amount FROM found CROSS JOIN LATERAL ("
    "SELECT {columns}, {key} FROM {table} WHERE {matching} LIMIT 1"
    ") AS page ORDER BY {found_order}"
)


def _as_stored(text: str | bytes) -> StoredObject:
    return StoredObject(text.encode() if isinstance(text, str) else text)


def _order(sort: Sort, *table: str) -> Composed:
    direction = SQL("DESC" if sort.descending else "ASC")
    return SQL(", ").join(
        SQL("{} {}").format(Identifier(*table, column), direction) for column in sort.columns
    )


def _matching(table: str, columns: Sequence[str]) -> Composed:
    pairs = [
        SQL("{} = {}").format(Identifier(table, column), Identifier("found", column))
        for column in columns
    ]
    return SQL(" AND ").join(pairs)


def _beyond(sort: Sort, position: KeysetPosition) -> Condition:
    columns = SQL(", ").join(map(Identifier, sort.columns))
    values = SQL(", ").join([SQL("%s")] * len(position))
    comparison = SQL("<" if sort.descending else ">")
    return SQL("({}) {} ({})").format(columns, comparison, values), list[Any](position)
