"""Calls of the fake: decoded requests, and replies to be encoded."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from configsvc_client._fake.access import EVERYBODY, Principal
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import invalid, precondition_failed
from configsvc_client._http.types import Request

__all__ = ["Call", "Reply", "page"]

_SORTED_BY = ("id", "name", "updated_at", "version")


class Reply(NamedTuple):
    """Reply to a call: document, ETag and status."""

    document: Record | None
    etag: str | None = None
    status: HTTPStatus = HTTPStatus.OK


class Call(NamedTuple):
    """Call of an endpoint: one request, decoded."""

    request: Request
    request_id: str
    timestamp: str
    principal: Principal = EVERYBODY

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.request.method

    @property
    def body(self) -> Record:
        """JSON object in the body; empty without one."""
        document: Record = json.loads(self.request.body or b"{}")
        return document

    @property
    def message(self) -> str | None:
        """Reason that was given, for the history."""
        header = self.request.headers.get("X-Change-Message")
        text = header.decode() if isinstance(header, bytes) else header
        message: str | None = self.body.get("message", text)
        return message

    def param(self, name: str) -> str | None:
        """Return a query parameter."""
        return self.request.params.get(name)

    def check_match(self, etag: str, version: int | None = None) -> None:
        """Check ``If-Match`` against the ETag that the resource has.

        Args:
            etag: the ETag of the resource, without quotes.
            version: the version of the resource, for the problem document.

        Raises:
            ProblemError: the write is based on something older.
        """
        expected = self.request.headers.get("If-Match")
        if expected is not None and expected != f'"{etag}"':
            raise precondition_failed(etag, version)


def page(call: Call, records: Sequence[Record]) -> Reply:
    """Answer with one page of a list, in the order that is asked for."""
    records = _in_order(records, call.param("sort") or "id")
    start = int(call.param("after") or "0")
    end = start + int(call.param("limit") or "50")
    more = end < len(records)
    return Reply(
        {
            "items": records[start:end],
            "total": len(records),
            "limit": end - start,
            "offset": 0,
            "has_more": more,
            "next": str(end) if more else None,
        }
    )


def _in_order(records: Sequence[Record], sort: str) -> list[Record]:
    member = sort.removeprefix("-")
    if member not in _SORTED_BY:
        raise invalid("/sort", f"must be one of {', '.join(_SORTED_BY)}")
    # Those without such a member stay in the order in which they are given.
    return sorted(
        records,
        key=lambda record: (record.get(member), record.get("id")),
        reverse=sort.startswith("-"),
    )
