"""Lists in the order of a number that only grows: versions, releases, changes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from psycopg.sql import SQL, Identifier

from configsvc_server.db.database import Connection
from configsvc_server.domain.pages import NumberedPage, NumberedRequest
from configsvc_server.repositories.paging import Filter, conjunction

__all__ = ["fetch_numbered"]

T = TypeVar("T")


def fetch_numbered(
    connection: Connection,
    *,
    table: str,
    columns: SQL,
    number: str,
    filters: Sequence[Filter],
    request: NumberedRequest,
    make: Callable[[tuple[Any, ...]], T],
    numbers_first: bool = False,
) -> NumberedPage[T]:
    """Read one page, which is found in an index however far into the list it is.

    Args:
        connection: where from.
        table: its name.
        columns: what to read.
        number: the column that orders the list.
        filters: conditions that the rows meet.
        request: which part.
        make: makes an item of a row.
        numbers_first: find the numbers alone before the rows. PostgreSQL takes what a filter
            finds to be spread evenly, and would rather walk through everything else until a
            page is full; the numbers alone are in the index of the filter.
    """
    conditions = [condition for condition, _ in filters]
    parameters = [value for _, values in filters for value in values]
    column = Identifier(number)
    composed = [conjunction(conditions)]
    if request.after is not None:
        comparison = SQL("<" if request.descending else ">")
        composed.append(SQL("{} {} %s").format(column, comparison))
        parameters.append(request.after)
    if numbers_first:
        # The inner limit keeps PostgreSQL from joining with the whole table.
        template = SQL(
            "WITH found AS MATERIALIZED (SELECT {number} FROM {table} WHERE {where} "
            "ORDER BY {number} {direction} LIMIT %s OFFSET %s) "
            "SELECT row.* FROM found CROSS JOIN LATERAL ("
            "SELECT {columns}, {number} AS number FROM {table} "
            "WHERE {table}.{number} = found.{number} LIMIT 1"
            ") AS row ORDER BY found.{number} {direction}"
        )
    else:
        template = SQL(
            "SELECT {columns}, {number} FROM {table} WHERE {where} ORDER BY {number} {direction} "
            "LIMIT %s OFFSET %s"
        )
    rows = connection.execute(
        template.format(
            columns=columns,
            number=column,
            table=Identifier(table),
            where=SQL(" AND ").join(composed),
            direction=SQL("DESC" if request.descending else "ASC"),
        ),
        # One more than asked for tells whether there is a next page.
        [*parameters, request.limit + 1, request.offset],
    ).fetchall()
    shown = rows[: request.limit]
    return NumberedPage(
        items=[make(row[:-1]) for row in shown],
        has_more=len(rows) > request.limit,
        last=shown[-1][-1] if shown else None,
    )
