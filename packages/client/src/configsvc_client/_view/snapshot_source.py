"""Snapshot source: the conditional GET by which a view is kept up to date.

It asks for a delta (RFC 3229) wherever it has what one could be applied to, and applies it. A delta
that does not lead to the snapshot that the server says is thrown away, and the whole fetched.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from logging import getLogger
from typing import TYPE_CHECKING, Final, NamedTuple

from configsvc_client._http.api import PREFIX, Api, segment
from configsvc_client._http.types import Request, Response, Transport, require_ok
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import read_delta, read_snapshot
from configsvc_client.errors import NotFoundError

# Imported where a view starts to poll.
if TYPE_CHECKING:
    from configsvc_client._view.reporter import Reporter

__all__ = ["INSTANCE", "Fetched", "SnapshotSource"]

_log = getLogger("configsvc_client")

_DELTA: Final = "configsvc-delta"
_NO_CACHE: Final = {"Cache-Control": "no-cache"}

INSTANCE: Final = "Configsvc-Instance"
"""Header that tells who polls."""


class Fetched(NamedTuple):
    """Result of a conditional GET."""

    snapshot: Snapshot | None
    """Snapshot; ``None`` where nothing has changed."""
    body: bytes
    """Snapshot as it was sent, or the delta that made it from the one before."""
    granted: bool
    """Whether the server agreed to wait."""


class SnapshotSource:
    """Source of the snapshots of one application in one environment."""

    def __init__(
        self,
        transport: Transport,
        application: str,
        environment: str,
        reporter: "Reporter | None" = None,
    ) -> None:
        """Create a source that has asked for nothing yet.

        Args:
            transport: sends the requests.
            application: name or id of the application.
            environment: name of the environment.
            reporter: tells who asks, for the polls of a view; ``None`` for other requests.
        """
        self.reporter: Reporter | None = reporter
        """Reporter that tells who asks; ``None`` where nobody is to know."""
        self._transport = transport
        self._application = application
        self._environment = environment
        self._path: str | None = None
        self._has_warned = False

    def fetch(
        self,
        current: Snapshot | None,
        *,
        wait: float = 0.0,
        bypass_cache: bool = False,
        patience: float | None = None,
    ) -> Fetched:
        """Fetch the snapshot if it is another than ``current``.

        Args:
            current: the snapshot that there is.
            wait: seconds that the server may wait for a change.
            bypass_cache: whether to have it sent by the server itself, and even if nothing
                changed.
            patience: seconds to wait for the response, where the server does not wait;
                ``None`` for the timeout of the client.

        Raises:
            ConfigSvcError: the request failed.
        """
        headers: dict[str, str | bytes] = {}
        if bypass_cache:
            headers |= _NO_CACHE
        elif current is not None and current.etag:
            headers["If-None-Match"] = current.etag
            if current.digests is not None:
                headers["A-IM"] = _DELTA
            if wait:
                headers["Prefer"] = f"wait={wait:.0f}"
        # Without the tag of what there is, it would look as if there was nothing.
        if self.reporter is not None and ("If-None-Match" in headers or current is None):
            headers[INSTANCE] = self.reporter.header(current)
        response = self._get(headers, read_timeout=wait + Api.MARGIN if wait else patience)
        granted = response.has_waited
        if response.status == HTTPStatus.NOT_MODIFIED:
            if current is None:
                raise response.broken("says that nothing changed, but nothing was known before")
            return Fetched(None, b"", granted)
        if response.status == HTTPStatus.IM_USED:
            patched = self._patch(response, current)
            if patched is not None:
                return Fetched(patched, response.body, granted)
            response = self._get(_NO_CACHE)
        return Fetched(_read(response, current), response.body, granted)

    def fetch_once(
        self, *, at: datetime | None = None, previous: Snapshot | None = None
    ) -> Snapshot:
        """Fetch the snapshot as it is now, or was at a timestamp, unconditionally.

        Args:
            at: the timestamp, timezone-aware; ``None`` for now.
            previous: a snapshot to share equal configurations with.

        Raises:
            ConfigSvcError: the request failed.
            ValueError: the timestamp is naive.
        """
        params = {}
        if at is not None:
            if at.utcoffset() is None:
                raise ValueError(f"{at!r} could be any moment of a day: give it a time zone.")
            params["at"] = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return _read(self._get(_NO_CACHE, params), previous)

    def _patch(self, response: Response, base: Snapshot | None) -> Snapshot | None:
        """Return ``base`` with a delta applied, or ``None`` if the result is not the right one."""
        try:
            if base is None or response.headers.get("IM") != _DELTA:
                raise ValueError("is a delta that was not asked for")  # noqa: TRY301
            return read_delta(response.body, response.headers.get("ETag"), base=base)
        except ValueError as error:
            # A server or proxy that does so once may do it with every change.
            log = _log.debug if self._has_warned else _log.warning
            self._has_warned = True
            log("%s %s; fetching the whole snapshot instead", response.request.path, error)
            return None

    def _get(
        self,
        headers: Mapping[str, str | bytes],
        params: Mapping[str, str] | None = None,
        read_timeout: float | None = None,
    ) -> Response:
        path = self._snapshot_path()
        request = Request("GET", path, params or {}, headers, read_timeout=read_timeout)
        try:
            return require_ok(self._transport.send(request))
        except NotFoundError:
            # It may be another application of the same name next time.
            self._path = None
            raise

    def _snapshot_path(self) -> str:
        if self._path is None:
            application = Api(self._transport).application_path(self._application)
            environment = segment(self._environment)
            self._path = f"{PREFIX}{application}/environments/{environment}/snapshot"
        return self._path


def _read(response: Response, previous: Snapshot | None) -> Snapshot:
    if response.status != HTTPStatus.OK:
        raise response.broken("has an unexpected status")
    try:
        return read_snapshot(response.body, response.headers.get("ETag"), previous=previous)
    except ValueError as error:
        raise response.broken(str(error)) from None
