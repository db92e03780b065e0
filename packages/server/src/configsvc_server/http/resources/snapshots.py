"""``/applications/{application}/environments/{environment}/snapshot``."""

import json

import falcon

from configsvc_server.cache.responses import Rendered
from configsvc_server.domain.merge import merge_patch
from configsvc_server.domain.models import Snapshot, SnapshotEntry
from configsvc_server.domain.strict_json import dumps
from configsvc_server.http.conditional import (
    content_etag,
    content_wanted,
    is_not_modified,
    wants_fresh,
)
from configsvc_server.http.preferences import wait_wanted
from configsvc_server.http.query_params import QueryReader
from configsvc_server.http.representations import timestamp
from configsvc_server.services.snapshots import SnapshotService

__all__ = ["SnapshotResource", "render_snapshot"]


class SnapshotResource:
    """Every configuration of an application, as one document."""

    def __init__(self, service: SnapshotService) -> None:
        self._service = service

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Get the snapshot; with ``Prefer: wait=N``, once it is another one."""
        reader = QueryReader(req, frozenset({"at"}))
        moment = reader.moment("at")
        reader.finish()
        wait = wait_wanted(req)
        is_known = content_wanted(req)
        if moment is not None:
            rendered = self._service.at(application, environment, moment)
        elif wait and is_known is not None:
            rendered, granted = self._service.wait(
                application,
                environment,
                known=is_known,
                timeout=wait,
                is_abandoned=req.env.get("waitress.client_disconnected", lambda: False),
            )
            if granted:
                resp.set_header("Preference-Applied", f"wait={wait}")
        else:
            rendered = self._service.get(application, environment, from_memory=not wants_fresh(req))
        resp.set_header("Vary", "Prefer")
        resp.set_header("Cache-Control", "no-cache")
        if not is_not_modified(req, resp, rendered.etag):
            resp.data = rendered.body

    on_head = on_get


def render_snapshot(snapshot: Snapshot) -> Rendered:
    """Write a snapshot, resolved; equal content is equal to the byte, and so is its ETag."""
    configurations = b",".join(map(_entry, snapshot.entries))
    body = b'{"application_id":%b,"application":%b,"environment":%b,"configurations":{%b}}' % (
        dumps(snapshot.application_id),
        dumps(snapshot.application),
        dumps(snapshot.environment),
        configurations,
    )
    return Rendered(content_etag(body), body)


def _entry(entry: SnapshotEntry) -> bytes:
    config = entry.config.encode()
    if entry.overlay is not None:
        config = dumps(merge_patch(json.loads(entry.config), entry.overlay))
    return b'%b:{"id":%b,"version":%d,"updated_at":%b,"config":%b%b}' % (
        dumps(entry.name),
        dumps(entry.configuration_id),
        entry.version,
        dumps(timestamp(entry.updated_at)),
        config,
        b"" if entry.defaults is None else b',"defaults":' + entry.defaults.encode(),
    )
