"""Calls of the REST API: paths, bodies and headers, shared by the wrappers and the views."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import quote

from configsvc_client._http.types import Answer, Request, Transport, require_ok
from configsvc_client.errors import NotFoundError

if TYPE_CHECKING:
    from configsvc_client._resources.models import Application

__all__ = ["KEEP", "PREFIX", "Api", "Keep", "Pages", "segment"]

T = TypeVar("T")

PREFIX: Final = "/api/v1"

_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)


class Keep(Enum):
    """The type of :data:`KEEP`."""

    KEEP = "keep"

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep.KEEP
"""Leave this member as it is; ``None`` removes it."""


class Api:
    """The API of one server."""

    MARGIN: Final = 5.0
    """Seconds that a long poll may take longer than it was asked to."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | None] | None = None,
        body: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        message: str | None = None,
        wait: float = 0.0,
    ) -> Answer:
        """Send a request and return its answer.

        Args:
            method: the HTTP method.
            path: below the prefix, percent-encoded.
            params: query parameters; those that are ``None`` are left out.
            body: a JSON object.
            if_match: the ETag, without quotes, that the resource must still have.
            message: why, for the history.
            wait: seconds that the server may wait until there is something to tell.

        Raises:
            ConfigSvcError: the answer is an error, or there is none.
        """
        headers: dict[str, str | bytes] = {}
        data = None
        if body is not None:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            headers["Content-Type"] = f"application/{kind}"
            data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        if message is not None:
            # A header is one line; as bytes, since str would be sent as Latin-1.
            headers["X-Change-Message"] = " ".join(message.split()).encode()
        if wait:
            headers["Prefer"] = f"wait={wait:.0f}"
        known = {name: value for name, value in (params or {}).items() if value is not None}
        patience = wait + self.MARGIN if wait else None
        request = Request(method, PREFIX + path, known, headers, data, patience)
        return require_ok(self._transport.send(request))

    def read(self, answer: Answer, reader: Callable[[dict[str, Any]], T]) -> T:
        """Return what ``reader`` makes of an answer.

        Raises:
            ServerError: it is not what the API promises.
        """
        document = answer.json()
        try:
            return reader(document)
        except (KeyError, TypeError, ValueError) as error:
            raise answer.broken(f"lacks something ({error!r})") from None

    def application_path(self, application: "Application | str") -> str:
        """Return the path of an application given by itself, its id or its name.

        Raises:
            NotFoundError: a name that no path can have is looked up, and is not there.
        """
        if not isinstance(application, str):
            return f"/applications/{application.id}"
        if not application:
            raise ValueError("The name of an application can't be empty.")
        if "/" not in application and application not in {".", ".."}:
            return f"/applications/{segment(application)}"
        answer = self.call("GET", "/applications", params={"name": application, "limit": "1"})
        found = self.read(answer, lambda page: [str(item["id"]) for item in page["items"]])
        if not found:
            message = f"There is no application {application!r}."
            raise NotFoundError(message, method="GET", path=answer.request.path)
        return f"/applications/{found[0]}"

    def application_id(self, application: "Application | str") -> str:
        """Return the id of an application given by itself, its id or its name.

        Raises:
            NotFoundError: there is none of that name.
        """
        if not isinstance(application, str):
            return application.id
        if _ULID.fullmatch(application):
            # No name has this shape. It may be deleted, and still be in the history.
            return application
        answer = self.call("GET", self.application_path(application))
        return self.read(answer, lambda document: str(document["id"]))

    def pages(
        self,
        path: str,
        reader: Callable[[dict[str, Any]], T],
        *,
        what: str,
        params: Mapping[str, str | None],
        page_size: int,
    ) -> "Pages[T]":
        """Return an iterator over a list."""
        return Pages(self, path, reader, what, {**params, "limit": str(page_size)})


class Pages(Iterator[T], Generic[T]):
    """An iterator over a list on the server, which it asks for page by page.

    Example:
        >>> applications = client.applications.list()
        >>> next(applications).name
        'billing'
    """

    def __init__(
        self,
        api: Api,
        path: str,
        reader: Callable[[dict[str, Any]], T],
        what: str,
        params: Mapping[str, str | None],
    ) -> None:
        self._api = api
        self._path = path
        self._reader = reader
        self._what = what
        self._params = params
        self._page: Iterator[T] = iter(())
        self._next: str | None = None
        self._given = 0
        self._asked = False
        self._total: int | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            for item in self._page:
                self._given += 1
                return item
            if self._asked and self._next is None:
                raise StopIteration
            self._fetch()

    def __repr__(self) -> str:
        if not self._asked:
            return f"<{self._what}: not asked yet>"
        total = "" if self._total is None else f" of {self._total}"
        return f"<{self._what}: {self._given}{total} given>"

    def _fetch(self) -> None:
        answer = self._api.call("GET", self._path, params={**self._params, "after": self._next})
        self._page, self._total, self._next = self._api.read(
            answer,
            lambda page: (
                iter([self._reader(item) for item in page["items"]]),
                # Some lists are too long to be counted for each page.
                None if page.get("total") is None else int(page["total"]),
                page["next"],
            ),
        )
        self._asked = True


def segment(name: str) -> str:
    """Return ``name`` as one segment of a path."""
    return quote(name, safe="")
