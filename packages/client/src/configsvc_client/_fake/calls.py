"""Requests to the fake and its answers, taken apart."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import precondition_failed
from configsvc_client._http.types import Request

__all__ = ["Call", "Reply", "page"]


class Reply(NamedTuple):
    """What to answer."""

    document: Record | None
    etag: str | None = None
    status: HTTPStatus = HTTPStatus.OK


class Call(NamedTuple):
    """One request."""

    request: Request
    request_id: str
    moment: str

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    @property
    def body(self) -> Record:
        """The JSON object in the body, empty without one."""
        document: Record = json.loads(self.request.body or b"{}")
        return document

    @property
    def message(self) -> str | None:
        """Why it is done."""
        header = self.request.headers.get("X-Change-Message")
        text = header.decode() if isinstance(header, bytes) else header
        said: str | None = self.body.get("message", text)
        return said

    def param(self, name: str) -> str | None:
        """Return a parameter of the query."""
        return self.request.params.get(name)

    def check_match(self, etag: str, version: int | None = None) -> None:
        """Refuse a write that is based on something older.

        Raises:
            ProblemError: it is.
        """
        wanted = self.request.headers.get("If-Match")
        if wanted is not None and wanted != f'"{etag}"':
            raise precondition_failed(etag, version)


def page(call: Call, records: Sequence[Record]) -> Reply:
    """Answer with one page of a list."""
    start = int(call.param("after") or "0")
    end = start + int(call.param("limit") or "50")
    more = end < len(records)
    return Reply(
        {
            "items": list(records[start:end]),
            "total": len(records),
            "limit": end - start,
            "offset": 0,
            "has_more": more,
            "next": str(end) if more else None,
        }
    )
