"""``/applications/{application}/environments/{environment}/snapshot``."""

import hashlib
import re

import falcon

from configsvc_server.domain.jsontext import dumps
from configsvc_server.domain.models import Snapshot
from configsvc_server.http.conditional import content_wanted, is_not_modified, wants_fresh
from configsvc_server.http.representations import timestamp
from configsvc_server.services.reads import Rendered
from configsvc_server.services.snapshots import SnapshotService

__all__ = ["MAX_WAIT", "SnapshotResource", "render_snapshot"]

MAX_WAIT = 60
"""The longest wait that is granted, in seconds."""

# RFC 7240, section 2: a preference may be one of several, and may have parameters.
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:;|,|$)", re.IGNORECASE)


class SnapshotResource:
    """Every configuration of an application, as one document."""

    def __init__(self, service: SnapshotService) -> None:
        self._service = service

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Get the snapshot; with ``Prefer: wait=N``, once it is another one."""
        wait = _wait(req)
        is_known = content_wanted(req)
        if wait and is_known is not None:
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
    """Write a snapshot; equal content is equal to the byte, and so is its ETag."""
    configurations = b",".join(
        b'%b:{"id":%b,"version":%d,"updated_at":%b,"config":%b}'
        % (
            dumps(entry.name),
            dumps(entry.configuration_id),
            entry.version,
            dumps(timestamp(entry.updated_at)),
            entry.config.encode(),
        )
        for entry in snapshot.entries
    )
    body = b'{"application_id":%b,"application":%b,"environment":%b,"configurations":{%b}}' % (
        dumps(snapshot.application_id),
        dumps(snapshot.application),
        dumps(snapshot.environment),
        configurations,
    )
    return Rendered(hashlib.sha256(body).hexdigest()[:32], body)


def _wait(req: falcon.Request) -> int:
    """Return the seconds that the caller would like to wait; 0 for none.

    What is no such preference is ignored, as RFC 7240 has it.
    """
    found = _WAIT.search(req.get_header("Prefer") or "")
    return min(int(found[1]), MAX_WAIT) if found else 0
