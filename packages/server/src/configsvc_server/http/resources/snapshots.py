"""Snapshots: ``/applications/{application}/environments/{environment}/snapshot``."""

from typing import Final

import falcon

from configsvc_server.cache.responses import CachedResponse
from configsvc_server.domain.models import Snapshot, SnapshotEntry
from configsvc_server.domain.strict_json import dumps
from configsvc_server.http.conditional import (
    answer_not_modified,
    content_etag,
    has_no_cache,
    read_if_none_match,
    read_wait,
)
from configsvc_server.http.context import client_disconnected
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import format_timestamp
from configsvc_server.services.snapshots import SnapshotService

__all__ = ["SnapshotResource", "render_snapshot"]

_PARAMS: Final = frozenset({"at"})

# Private, so that no cache that several people share hands it to somebody who may not read it.
_FOR_EVER: Final = "private, max-age=31536000, immutable"


class SnapshotResource:
    """All configurations that an environment serves, as one document."""

    def __init__(self, service: SnapshotService) -> None:
        self._service = service

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Get the snapshot; with ``Prefer: wait=N``, once it has changed."""
        params = QueryParams(req, _PARAMS)
        timestamp = params.timestamp("at")
        params.finish()
        wait = read_wait(req)
        known = read_if_none_match(req)
        is_final = False
        if timestamp is not None:
            response, is_final = self._service.at(application, environment, timestamp)
        elif wait and known is not None:
            response, granted = self._service.wait(
                application,
                environment,
                known=known,
                timeout=wait,
                is_abandoned=client_disconnected(req),
            )
            if granted:
                resp.set_header("Preference-Applied", f"wait={wait}")
        else:
            response = self._service.get(application, environment, bypass_cache=has_no_cache(req))
        resp.set_header("Vary", "Prefer")
        resp.set_header("Cache-Control", _FOR_EVER if is_final else "no-cache")
        if not answer_not_modified(resp, response.etag, known):
            resp.data = response.body

    on_head = on_get


def render_snapshot(snapshot: Snapshot) -> CachedResponse:
    """Return the response of a snapshot; equal content is equal to the byte, and so is its ETag."""
    configurations = b",".join(map(_entry, snapshot.entries))
    body = b'{"application_id":%b,"application":%b,"environment":%b,"configurations":{%b}}' % (
        dumps(snapshot.application_id),
        dumps(snapshot.application),
        dumps(snapshot.environment),
        configurations,
    )
    return CachedResponse(content_etag(body), body)


def _entry(entry: SnapshotEntry) -> bytes:
    return b'%b:{"id":%b,"version":%d,"updated_at":%b,"config":%b%b}' % (
        dumps(entry.name),
        dumps(entry.configuration_id),
        entry.version,
        dumps(format_timestamp(entry.updated_at)),
        entry.config.encode(),
        b"" if entry.defaults is None else b',"defaults":' + entry.defaults.encode(),
    )
