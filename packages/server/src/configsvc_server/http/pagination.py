"""Query parameters of the lists."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import falcon

from configsvc_server.domain.errors import FieldError
from configsvc_server.domain.pages import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Cursor,
    NumberedRequest,
    PageRequest,
    Sort,
)
from configsvc_server.http.query_params import QueryReader

__all__ = [
    "NUMBERED_PAGING",
    "ListQuery",
    "next_link",
    "numbered_request",
    "read_list_query",
]

_MAX_OFFSET = 2**31 - 1
_PAGING = NUMBERED_PAGING = frozenset({"limit", "offset", "after", "sort"})
_MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The validated parameters of a list."""

    page: PageRequest
    name: str | None
    text: str | None
    application_id: str | None


def read_list_query(req: falcon.Request, *, filters: frozenset[str]) -> ListQuery:
    """Read the parameters of a list.

    Args:
        req: the request.
        filters: those of ``name``, ``q`` and ``application_id`` that this list knows.

    Raises:
        InvalidError: a parameter is unknown, repeated, or has an impossible value; all such
            are named.
    """
    reader = QueryReader(req, _PAGING | filters)
    limit = reader.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    offset = reader.integer("offset", 0, 0, _MAX_OFFSET)
    after, sort = _order(reader)
    query = ListQuery(
        page=PageRequest(limit=limit, offset=offset, after=after, sort=sort),
        name=reader.text("name"),
        text=reader.text("q"),
        application_id=reader.ulid("application_id"),
    )
    reader.finish()
    return query


def numbered_request(reader: QueryReader, number: str) -> NumberedRequest:
    """Read which part of a list is wanted that is in the order of ``number``."""
    return NumberedRequest(
        limit=reader.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        offset=reader.integer("offset", 0, 0, _MAX_OFFSET),
        after=reader.integer("after", None, 0, _MAX_NUMBER),
        descending=reader.choice("sort", [number, f"-{number}"]) == f"-{number}",
    )


def next_link(req: falcon.Request, after: str) -> str:
    """Return a ``Link`` header (RFC 8288) to the next page: this request, ``after`` a cursor."""
    parameters = {k: v for k, v in req.params.items() if k not in {"after", "offset"}}
    query = urlencode({**parameters, "after": after}, doseq=True)
    return f'<{quote(req.root_path + req.path)}?{query}>; rel="next"'


def _order(reader: QueryReader) -> tuple[Cursor | None, Sort]:
    token, text = reader.raw("after"), reader.raw("sort")
    after = reader.attempt(lambda: Cursor.decode(token)) if token is not None else None
    sort = reader.attempt(lambda: Sort.parse(text)) if text is not None else None
    if after is not None and sort is not None and after.sort != sort:
        message = f"must be {str(after.sort)!r}, the order of the page that 'after' is from"
        reader.errors.append(FieldError("/sort", message, "query"))
    # A cursor knows its order, so a next page needs no other parameter.
    return after, sort or (after.sort if after else Sort())
