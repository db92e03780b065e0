"""The one conditional GET that keeps a view fresh."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, NamedTuple

from configsvc_client._http.api import PREFIX, Api, segment
from configsvc_client._http.types import Answer, Request, Transport, require_ok
from configsvc_client._values.snapshot import Snapshot, read_snapshot
from configsvc_client.errors import NotFoundError

__all__ = ["Feed", "Fetched"]


class Fetched(NamedTuple):
    """What the server said."""

    snapshot: Snapshot | None
    """``None`` where there is nothing new."""
    body: bytes
    """The snapshot as it was sent."""
    granted: bool
    """Whether the server waited, as it was asked to."""


class Feed:
    """Asks for the snapshot of one application in one environment."""

    MARGIN: Final = Api.MARGIN
    """Seconds that a long poll may take longer than it was asked to."""

    def __init__(self, transport: Transport, application: str, environment: str) -> None:
        self._transport = transport
        self._application = application
        self._environment = environment
        self._path: str | None = None

    def fetch(self, current: Snapshot | None, *, wait: float = 0.0, fresh: bool = False) -> Fetched:
        """Return the snapshot if it is another than ``current``.

        Args:
            current: what is known already.
            wait: seconds that the server may wait for a change.
            fresh: have it sent even if nothing changed, and by the server itself.

        Raises:
            ConfigSvcError: it can't be had now.
        """
        headers: dict[str, str | bytes] = {}
        if fresh:
            headers["Cache-Control"] = "no-cache"
        elif current is not None and current.etag:
            headers["If-None-Match"] = current.etag
            if wait:
                headers["Prefer"] = f"wait={wait:.0f}"
        answer = self._ask(headers, read_timeout=wait + self.MARGIN if wait else None)
        granted = answer.has_waited
        if answer.status == HTTPStatus.NOT_MODIFIED:
            if current is None:
                raise answer.broken("says that nothing changed, but nothing was known before")
            return Fetched(None, b"", granted)
        return Fetched(_read(answer, current), answer.body, granted)

    def look(self, *, at: datetime | None = None, share: Snapshot | None = None) -> Snapshot:
        """Return the snapshot as it is, or was at a moment, once and for nobody else.

        Args:
            at: the moment, with its time zone; now without it.
            share: a snapshot to share with what is equal.

        Raises:
            ConfigSvcError: it can't be had now.
            ValueError: the moment has no time zone.
        """
        params = {}
        if at is not None:
            if at.utcoffset() is None:
                raise ValueError(f"{at!r} could be any moment of a day: give it a time zone.")
            params["at"] = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return _read(self._ask({"Cache-Control": "no-cache"}, params), share)

    def _ask(
        self,
        headers: Mapping[str, str | bytes],
        params: Mapping[str, str] | None = None,
        read_timeout: float | None = None,
    ) -> Answer:
        path = self._snapshot_path()
        request = Request("GET", path, params or {}, headers, read_timeout=read_timeout)
        try:
            return require_ok(self._transport.send(request))
        except NotFoundError:
            # It may be another one of the same name next time.
            self._path = None
            raise

    def _snapshot_path(self) -> str:
        if self._path is None:
            application = Api(self._transport).application_path(self._application)
            environment = segment(self._environment)
            self._path = f"{PREFIX}{application}/environments/{environment}/snapshot"
        return self._path


def _read(answer: Answer, previous: Snapshot | None) -> Snapshot:
    if answer.status != HTTPStatus.OK:
        raise answer.broken("has an unexpected status")
    try:
        return read_snapshot(answer.body, answer.headers.get("ETag"), previous=previous)
    except ValueError as error:
        raise answer.broken(str(error)) from None
