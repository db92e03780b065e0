"""The one conditional GET that keeps a view fresh."""

from http import HTTPStatus
from typing import Final, NamedTuple

from configsvc_client.api import PREFIX, Api, segment
from configsvc_client.errors import NotFoundError
from configsvc_client.messages import Request, Transport, require_ok
from configsvc_client.snapshot import Snapshot, read_snapshot

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

    MARGIN: Final = 5.0
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
        request = Request(
            "GET",
            self._snapshot_path(),
            headers=headers,
            read_timeout=wait + self.MARGIN if wait else None,
        )
        try:
            answer = require_ok(self._transport.send(request))
        except NotFoundError:
            # It may be another one of the same name next time.
            self._path = None
            raise
        granted = "wait" in (answer.headers.get("Preference-Applied") or "").lower()
        if answer.status == HTTPStatus.NOT_MODIFIED:
            if current is None:
                raise answer.broken("says that nothing changed, but nothing was known before")
            return Fetched(None, b"", granted)
        if answer.status != HTTPStatus.OK:
            raise answer.broken("has an unexpected status")
        try:
            snapshot = read_snapshot(answer.body, answer.headers.get("ETag"), previous=current)
        except ValueError as error:
            raise answer.broken(str(error)) from None
        return Fetched(snapshot, answer.body, granted)

    def _snapshot_path(self) -> str:
        if self._path is None:
            application = Api(self._transport).application_path(self._application)
            environment = segment(self._environment)
            self._path = f"{PREFIX}{application}/environments/{environment}/snapshot"
        return self._path
