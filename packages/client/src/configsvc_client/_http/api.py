"""REST API calls of the resource wrappers; views share the paths and build their own headers."""

import json
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from operator import length_hint
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote

from configsvc_client._http.types import Request, Response, Transport, require_ok
from configsvc_client.errors import NotFoundError

__all__ = ["KEEP", "PREFIX", "Api", "Keep", "Pages", "segment"]

T = TypeVar("T")

PREFIX: Final = "/api/v1"


class Keep(Enum):
    """Type of :data:`KEEP`."""

    KEEP = "keep"

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep.KEEP
"""Default of a member that an update leaves as it is, since ``None`` removes the member."""


class Api:
    """REST API of one server."""

    MARGIN: Final = 5.0
    """Seconds that a long poll may take longer than the wait that was asked for."""

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
        bypass_cache: bool = False,
    ) -> Response:
        """Send a request and return the response.

        Args:
            method: the HTTP method.
            path: the path below the prefix, percent-encoded.
            params: query parameters; those that are ``None`` are left out.
            body: a JSON object.
            if_match: the ETag, without quotes, that the resource must still have.
            message: the reason, for the history.
            wait: seconds that the server may wait until there is something new.
            bypass_cache: whether to be told what is true for every server by now.

        Raises:
            ConfigSvcError: the response is an error, or there is none.
        """
        headers: dict[str, str | bytes] = {}
        data = None
        if message is not None and body is not None:
            body = {**body, "message": message}
        elif message is not None:
            # As bytes, since str would be sent as Latin-1.
            headers["X-Change-Message"] = " ".join(message.split()).encode()
        if body is not None:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            headers["Content-Type"] = f"application/{kind}"
            data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        if wait:
            headers["Prefer"] = f"wait={wait:.0f}"
        if bypass_cache:
            headers["Cache-Control"] = "no-cache"
        query = {name: value for name, value in (params or {}).items() if value is not None}
        read_timeout = wait + self.MARGIN if wait else None
        request = Request(method, PREFIX + path, query, headers, data, read_timeout)
        return require_ok(self._transport.send(request))

    def read(self, response: Response, reader: Callable[[dict[str, Any]], T]) -> T:
        """Return the result of ``reader`` for the JSON object in a response.

        Raises:
            ServerError: the object is not what the API promises.
        """
        document = response.json()
        try:
            return reader(document)
        except (KeyError, TypeError, ValueError) as error:
            raise response.broken(f"lacks something ({error!r})") from None

    def read_with_etag(
        self, response: Response, reader: Callable[[dict[str, Any], str | None], T]
    ) -> T:
        """Return the result of ``reader`` for the JSON object and the ETag of a response.

        Args:
            response: the response with one resource.
            reader: gets the object and the ETag, without quotes; ``None`` where there is none.

        Raises:
            ServerError: the object is not what the API promises.
        """
        etag = (response.headers.get("ETag") or "").strip('"') or None
        return self.read(response, lambda document: reader(document, etag))

    def application_path(self, name: str) -> str:
        """Return the path of an application.

        Args:
            name: its name or id; a name that no path can have is looked up.

        Raises:
            NotFoundError: there is no application of a name that was looked up.
            ValueError: the name is empty.
        """
        if not name:
            raise ValueError("The name of an application can't be empty.")
        if "/" not in name and name not in {".", ".."}:
            return f"/applications/{segment(name)}"
        response = self.call("GET", "/applications", params={"name": name, "limit": "1"})
        found = self.read(response, lambda page: [str(item["id"]) for item in page["items"]])
        if not found:
            message = f"There is no application {name!r}."
            raise NotFoundError(message, method="GET", path=response.request.path)
        return f"/applications/{found[0]}"

    def pages(
        self,
        path: str,
        reader: Callable[[dict[str, Any]], T],
        *,
        what: str,
        params: Mapping[str, str | None],
        page_size: int,
    ) -> "Pages[T]":
        """Return an iterator over a list.

        Args:
            path: the path of the list below the prefix.
            reader: makes an item of a JSON object.
            what: the plural of the items, for people.
            params: query parameters; those that are ``None`` are left out.
            page_size: items to ask for at a time.
        """
        return Pages(self, path, reader, what, {**params, "limit": str(page_size)})


class Pages(Iterator[T], Generic[T]):
    """List on the server, which is fetched page by page, as it is iterated over.

    Each iteration begins at the beginning and asks the server anew. ``next`` goes through the
    list once, whatever else iterates over it.

    Example:
        >>> applications = client.applications.list()
        >>> next(applications).name
        'billing'
        >>> [application.name for application in applications]
        ['billing', 'shop']
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
        self._once: _Items[T] | None = None
        self._latest: _Items[T] | None = None

    def __iter__(self) -> Iterator[T]:
        self._latest = _Items(self._fetch)
        return self._latest

    def __next__(self) -> T:
        if self._once is None:
            self._once = _Items(self._fetch)
        self._latest = self._once
        return next(self._once)

    def __repr__(self) -> str:
        progress = "not asked yet" if self._latest is None else self._latest.progress
        return f"<{self._what}: {progress}>"

    def _fetch(self, cursor: str | None) -> "_Page[T]":
        response = self._api.call("GET", self._path, params={**self._params, "after": cursor})
        return self._api.read(
            response,
            lambda page: (
                [self._reader(item) for item in page["items"]],
                # Some lists are too long to be counted for each page.
                None if page.get("total") is None else int(page["total"]),
                page["next"],
            ),
        )


_Page: TypeAlias = tuple[list[T], int | None, str | None]
"""Items, number of all items, and the cursor after these; ``None`` each where there is none."""


class _Items(Iterator[T]):
    """One iteration over a list; a page that can't be fetched is asked for again by ``next``."""

    def __init__(self, fetch: "Callable[[str | None], _Page[T]]") -> None:
        self._fetch = fetch
        self._page: Iterator[T] = iter(())
        self._next: str | None = None
        self._given = 0
        self._asked = False
        self._total: int | None = None

    def __next__(self) -> T:
        while True:
            for item in self._page:
                self._given += 1
                return item
            if self._asked and self._next is None:
                raise StopIteration
            items, self._total, self._next = self._fetch(self._next)
            self._page, self._asked = iter(items), True

    @property
    def has_pending(self) -> bool:
        """Whether there are items that need no request."""
        return length_hint(self._page) > 0

    @property
    def progress(self) -> str:
        """How far it is, for people."""
        if not self._asked:
            return "not asked yet"
        total = "" if self._total is None else f" of {self._total}"
        return f"{self._given}{total} given"


def segment(name: str) -> str:
    """Return ``name`` percent-encoded as one segment of a path."""
    return quote(name, safe="")
