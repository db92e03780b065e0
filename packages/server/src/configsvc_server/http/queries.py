"""Query parameters of the lists."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.identifiers import is_ulid, normalize_ulid
from configsvc_server.domain.models import MAX_NAME
from configsvc_server.domain.pages import DEFAULT_LIMIT, MAX_LIMIT, Cursor, PageRequest, Sort

__all__ = ["ListQuery", "next_link", "read_list_query"]

T = TypeVar("T")

_MAX_OFFSET = 2**31 - 1
_PAGING = frozenset({"limit", "offset", "after", "sort"})


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
    reader = _Reader(req, _PAGING | filters)
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


def next_link(req: falcon.Request, cursor: Cursor) -> str:
    """Return a ``Link`` header (RFC 8288) to the next page: this request, after ``cursor``."""
    parameters = {k: v for k, v in req.params.items() if k not in {"after", "offset"}}
    query = urlencode({**parameters, "after": cursor.encode()}, doseq=True)
    return f'<{quote(req.root_path + req.path)}?{query}>; rel="next"'


def _order(reader: "_Reader") -> tuple[Cursor | None, Sort]:
    token, text = reader.raw("after"), reader.raw("sort")
    after = reader.attempt(lambda: Cursor.decode(token)) if token is not None else None
    sort = reader.attempt(lambda: Sort.parse(text)) if text is not None else None
    if after is not None and sort is not None and after.sort != sort:
        message = f"must be {str(after.sort)!r}, the order of the page that 'after' is from"
        reader.errors.append(FieldError("/sort", message, "query"))
    # A cursor knows its order, so a next page needs no other parameter.
    return after, sort or (after.sort if after else Sort())


class _Reader:
    """Reads parameters one by one and gathers what is wrong with them."""

    def __init__(self, req: falcon.Request, known: frozenset[str]) -> None:
        self._params = req.params
        self.errors = [
            FieldError(
                f"/{name}",
                f"is not a known parameter; known are {', '.join(sorted(known))}",
                "query",
            )
            for name in self._params
            if name not in known
        ]

    def finish(self) -> None:
        if self.errors:
            raise InvalidError(self.errors)

    def raw(self, name: str) -> str | None:
        value = self._params.get(name)
        if isinstance(value, list):
            self._refuse(name, "must be given once")
            return None
        if value is not None and "\0" in value:
            self._refuse(name, "must not have a NUL character")
            return None
        return value

    def attempt(self, parse: Callable[[], T]) -> T | None:
        try:
            return parse()
        except InvalidError as error:
            self.errors.extend(error.errors)
            return None

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        text = self.raw(name)
        if text is None:
            return default
        # int() takes signs, blanks, underscores and digits of every script.
        if text.isascii() and text.isdigit() and len(text) <= len(str(maximum)):
            value = int(text)
            if minimum <= value <= maximum:
                return value
        self._refuse(name, f"must be an integer from {minimum} to {maximum}")
        return default

    def text(self, name: str) -> str | None:
        text = self.raw(name)
        if text is not None and not 1 <= len(text) <= MAX_NAME:
            self._refuse(name, f"must have 1 to {MAX_NAME} characters")
            return None
        return text

    def ulid(self, name: str) -> str | None:
        text = self.raw(name)
        if text is None:
            return None
        if not is_ulid(text):
            self._refuse(name, "must be a ULID: 26 characters of Crockford's base 32")
            return None
        return normalize_ulid(text)

    def _refuse(self, name: str, message: str) -> None:
        self.errors.append(FieldError(f"/{name}", message, "query"))
