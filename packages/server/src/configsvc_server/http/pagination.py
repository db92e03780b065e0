"""Pagination: limits, sort orders and cursors of lists, and the body of a page.

A cursor is the text of a position in a list. In a sequence (versions, releases, changes) that is
the number of the last item; in other lists it is an opaque token, which knows its order too.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import falcon

from configsvc_server.domain.identifiers import is_ulid
from configsvc_server.domain.models import MAX_POSITION
from configsvc_server.domain.pages import (
    MAX_PAGE_BYTES,
    KeysetPosition,
    Page,
    PageRequest,
    Sort,
)
from configsvc_server.domain.strict_json import JsonObject, StoredObject, dumps, dumps_stored
from configsvc_server.http.query_params import QueryParams

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "MAX_OFFSET",
    "NAMED_LIST",
    "PAGING",
    "PROMOTION_ORDER",
    "ListOrder",
    "decode_cursor",
    "encode_cursor",
    "fit_items",
    "next_link",
    "page_body",
    "read_page_request",
    "read_sequence_request",
    "show_page",
]

T = TypeVar("T")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 10_000
"""Items that a page may skip: each of them is found, only to be left out."""

_MAX_NUMBER: Final = 2**63 - 1

PAGING: Final = frozenset({"limit", "offset", "after", "sort"})
"""Query parameters of every list."""


@dataclass(frozen=True, slots=True)
class ListOrder:
    """Orders that a list has to offer."""

    fields: tuple[str, ...]
    """Members to sort by; the first one by default."""
    unique: str
    """The member that breaks ties."""

    @property
    def choices(self) -> str:
        """The orders that can be chosen, for people."""
        return ", ".join(f"{field} or -{field}" for field in self.fields)

    def sort(self, field: str, *, descending: bool = False) -> Sort:
        """Return the order by one of the members."""
        return Sort((field,) if field == self.unique else (field, self.unique), descending)

    def parse(self, text: str) -> Sort | None:
        """Return the order ``name`` (ascending) or ``-name``; ``None`` where there is none."""
        field = text.removeprefix("-")
        if field not in self.fields:
            return None
        return self.sort(field, descending=text.startswith("-"))


NAMED_LIST: Final = ListOrder(("id", "name", "updated_at"), unique="id")
"""The order of applications and configurations."""

PROMOTION_ORDER: Final = ListOrder(("position",), unique="name")
"""The order of environments."""


def encode_cursor(sort: Sort, position: KeysetPosition) -> str:
    """Return the cursor of a position, safe in a URL."""
    if len(position) == 1 and isinstance(position[0], int):
        return str(position[0])
    values = [v.isoformat() if isinstance(v, datetime) else v for v in position]
    text = json.dumps([_name(sort), *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(token: str, order: ListOrder) -> tuple[Sort, KeysetPosition] | None:
    """Return the order and the position that :func:`encode_cursor` wrote.

    Returns:
        ``None`` where it is not such a token, or not one that the database can compare
        rows with.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        name, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        sort = order.parse(name)
        if sort is None or len(values) != len(sort.columns):
            return None
        return sort, tuple(map(_position_value, sort.columns, values))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def read_page_request(params: QueryParams, order: ListOrder) -> PageRequest:
    """Read which part of a list is wanted, in one of its orders."""
    limit, offset = _read_limits(params)
    token, text = params.raw("after"), params.raw("sort")
    cursor = decode_cursor(token, order) if token is not None else None
    sort = order.parse(text) if text is not None else None
    if token is not None and cursor is None:
        params.refuse("after", "must be a cursor from the 'next' member of an earlier page")
    if text is not None and sort is None:
        params.refuse("sort", f"must be one of {order.choices}")
    if cursor is not None and sort is not None and cursor[0] != sort:
        message = f"must be {_name(cursor[0])!r}, the order of the page that 'after' is from"
        params.refuse("sort", message)
    # A cursor knows its order, so a next page needs no other parameter.
    default = cursor[0] if cursor else order.sort(order.fields[0])
    after = cursor[1] if cursor else None
    return PageRequest(limit=limit, offset=offset, sort=sort or default, after=after)


def read_sequence_request(params: QueryParams, column: str) -> PageRequest:
    """Read which part of a sequence is wanted, in the order of a number that only grows."""
    limit, offset = _read_limits(params)
    after = params.integer("after", None, 0, _MAX_NUMBER)
    return PageRequest(
        limit=limit,
        offset=offset,
        sort=Sort((column,), params.choice("sort", [column, f"-{column}"]) == f"-{column}"),
        after=None if after is None else (after,),
    )


def show_page(
    req: falcon.Request,
    resp: falcon.Response,
    request: PageRequest,
    page: Page[T],
    show: Callable[[T], JsonObject],
) -> None:
    """Answer with a page of a list, and the link to the next one.

    Args:
        req: the request.
        resp: the response.
        request: which part was wanted.
        page: which part was found.
        show: returns what it shows of an item.
    """
    page, items = fit_items(page, show)
    cursor = None
    if page.has_more and page.last is not None:
        cursor = encode_cursor(request.sort, page.last)
        resp.set_header("Link", next_link(req, cursor))
    resp.data = page_body(
        items,
        {
            "total": page.total,
            "limit": request.limit,
            "offset": request.offset,
            "has_more": page.has_more,
            "next": cursor,
        },
    )


def fit_items(page: Page[T], show: Callable[[T], JsonObject]) -> tuple[Page[T], bytes]:
    """Return a page as far as it fits into an answer, and the JSON array of its items.

    There is always one, however large it is.
    """
    shown = [show(item) for item in page.items]
    if not any(isinstance(v, StoredObject) for item in shown[:1] for v in item.values()):
        # All at once takes less time, and they seldom are too large.
        text = dumps(shown)
        if len(text) <= MAX_PAGE_BYTES:
            return page, text
    items: list[bytes] = []
    size = 0
    for item in shown:
        text = dumps_stored(item)
        size += len(text)
        if items and size > MAX_PAGE_BYTES:
            break
        items.append(text)
    return page.cut(len(items)), b"[%b]" % b",".join(items)


def page_body(items: bytes, members: JsonObject) -> bytes:
    """Return the JSON of a page: the array of its items, and the other members."""
    return b'{"items":%b,%b' % (items, dumps(members)[1:])


def next_link(req: falcon.Request, after: str) -> str:
    """Return a ``Link`` header (RFC 8288) to the next page: this request, ``after`` a cursor."""
    parameters = {k: v for k, v in req.params.items() if k not in {"after", "offset"}}
    query = urlencode({**parameters, "after": after}, doseq=True)
    return f'<{quote(req.root_path + req.path)}?{query}>; rel="next"'


def _read_limits(params: QueryParams) -> tuple[int, int]:
    limit = params.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    advice = "; to read further, send the 'next' of a page as 'after'"
    return limit, params.integer("offset", 0, 0, MAX_OFFSET, advice=advice)


def _name(sort: Sort) -> str:
    return f"-{sort.columns[0]}" if sort.descending else sort.columns[0]


def _position_value(column: str, value: object) -> object:
    """Return the value of a column as the database compares it.

    Raises:
        ValueError, TypeError, AttributeError: it can't be one.
    """
    if column == "position":
        if type(value) is not int or not 0 <= value <= MAX_POSITION:
            raise ValueError(value)
        return value
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode("utf-8")  # refuses lone surrogates
    if column == "updated_at":
        timestamp = datetime.fromisoformat(value)
        if timestamp.tzinfo is None:
            raise ValueError(value)
        return timestamp
    if "\0" in value or (column == "id" and not is_ulid(value)):
        raise ValueError(value)
    return value
