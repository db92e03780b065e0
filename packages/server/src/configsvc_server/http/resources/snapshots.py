"""Snapshots: ``/applications/{application}/environments/{environment}/snapshot``."""

from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server.cache.responses import CachedResponse
from configsvc_server.cache.snapshots import CachedSnapshot, EntryText, Superseded
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.models import Snapshot, SnapshotEntry
from configsvc_server.domain.snapshot_tags import entry_digest, snapshot_tag
from configsvc_server.domain.strict_json import dumps
from configsvc_server.http.conditional import has_no_cache, read_if_none_match, read_wait
from configsvc_server.http.content_coding import (
    MIN_COMPRESSED,
    accepts_gzip,
    coded_etag,
    uncoded_tags,
)
from configsvc_server.http.context import client_disconnected, parking_of, principal_of
from configsvc_server.http.deltas import accepts_delta, answer_delta
from configsvc_server.http.instances import (
    INSTANCE_HEADER,
    read_anonymous,
    read_instance,
    served_tag,
)
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import format_timestamp
from configsvc_server.services.fleet import FleetService
from configsvc_server.services.snapshots import SnapshotService

__all__ = ["SnapshotResource", "render_delta", "render_snapshot"]

_PARAMS: Final = frozenset({"at"})

# Private, so that no cache that several people share hands it to somebody who may not read it.
_FOR_EVER: Final = "private, max-age=31536000, immutable"

_CONFIGURATIONS: Final = b'"configurations":'


class SnapshotResource:
    """All configurations that an environment serves, as one document."""

    def __init__(self, service: SnapshotService, fleet: FleetService) -> None:
        self._service = service
        self._fleet = fleet

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Get the snapshot; with ``Prefer: wait=N``, once it has changed."""
        params = QueryParams(req, _PARAMS)
        timestamp = params.timestamp("at")
        params.finish()
        wait = read_wait(req)
        known = uncoded_tags(read_if_none_match(req))
        is_final = False
        if timestamp is not None:
            response, is_final = self._service.at(
                principal_of(req), application, environment, timestamp
            )
        elif wait and known is not None:
            if self._is_first_poll(req):
                # Before it waits: then it is known whether it may read the environment.
                current = self._service.get(principal_of(req), application, environment)
                self._saw(req, current, known)
            response, granted = self._service.wait(
                principal_of(req),
                application,
                environment,
                known=known,
                timeout=wait,
                is_abandoned=client_disconnected(req),
                parking=parking_of(req),
            )
            if granted:
                resp.set_header("Preference-Applied", f"wait={wait}")
        else:
            response = self._service.get(
                principal_of(req), application, environment, bypass_cache=has_no_cache(req)
            )
            if self._is_first_poll(req):
                self._saw(req, response, known)
        resp.set_header("Vary", "Prefer, A-IM, Accept-Encoding")
        resp.set_header("Cache-Control", _FOR_EVER if is_final else "no-cache")
        is_coded = accepts_gzip(req) and len(response.body) >= MIN_COMPRESSED
        if known is not None and known.matches_weakly(response.etag):
            resp.status = HTTPStatus.NOT_MODIFIED
            resp.etag = coded_etag(response.etag, is_coded=is_coded)
            return
        if known is not None and timestamp is None and accepts_delta(req):
            delta = self._service.delta(response, known)
            if delta is not None:
                answer_delta(resp, base=delta[0], etag=response.etag)
                self._send(req, resp, delta[1], is_past=False)
                return
        resp.etag = coded_etag(response.etag, is_coded=is_coded)
        self._send(req, resp, response, is_past=timestamp is not None)

    on_head = on_get

    def _is_first_poll(self, req: falcon.Request) -> bool:
        """Return whether the request is a poll to record, and not one that runs again."""
        parking = parking_of(req)
        is_first_run = parking is None or parking.deadline is None
        return self._fleet.is_on and is_first_run and req.method == "GET"

    def _saw(self, req: falcon.Request, current: CachedSnapshot, known: EntityTags | None) -> None:
        """Record the poll of a caller who may read the environment."""
        serves = served_tag(known)
        if req.get_header(INSTANCE_HEADER) is not None:
            about = read_instance(req)
            if about is None:
                self._fleet.ignore_header()
                return
        elif serves is not None:
            about = read_anonymous(req)
        else:
            return
        self._fleet.saw(principal_of(req), current.key, about, serves, address=req.remote_addr)

    def _send(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        found: CachedResponse | CachedSnapshot,
        *,
        is_past: bool,
    ) -> None:
        if accepts_gzip(req) and len(found.body) >= MIN_COMPRESSED:
            found = self._service.compressed(found, is_past=is_past)
            resp.set_header("Content-Encoding", "gzip")
        resp.data = found.body


def render_snapshot(snapshot: Snapshot) -> CachedSnapshot:
    """Return the response of a snapshot; equal content is equal to the byte, and so is its ETag."""
    head = b'"application_id":%b,"application":%b,"environment":%b' % (
        dumps(snapshot.application_id),
        dumps(snapshot.application),
        dumps(snapshot.environment),
    )
    parts = [b"{%b,%b{" % (head, _CONFIGURATIONS)]
    entries: dict[str, EntryText] = {}
    end = len(parts[0])
    for entry in snapshot.entries:
        name, text = dumps(entry.name), _entry(entry)
        separator = b"," if entries else b""
        start = end + len(separator)
        end = start + len(name) + 1 + len(text)
        parts += (separator, name, b":", text)
        entries[entry.name] = EntryText(entry_digest(text), start, end)
    parts.append(b"}}")
    etag = snapshot_tag(
        (snapshot.application_id, snapshot.application, snapshot.environment),
        ((name, entry.digest) for name, entry in entries.items()),
    )
    key = (snapshot.application_id, snapshot.environment)
    return CachedSnapshot(key, etag, head, b"".join(parts), entries)


def render_delta(current: CachedSnapshot, base: Superseded) -> CachedResponse:
    """Return what makes a snapshot that somebody has into the current one."""
    names = sorted(base.changed)
    body = b'{"base":%b,%b,%b{%b},"removed":%b}' % (
        dumps(base.etag),
        current.head,
        _CONFIGURATIONS,
        b",".join(current.member(name) for name in names if name in current.entries),
        dumps([name for name in names if name not in current.entries]),
    )
    return CachedResponse(f"{base.etag}-{current.etag}", body)


def _entry(entry: SnapshotEntry) -> bytes:
    return b'{"id":%b,"version":%d,"updated_at":%b,"config":%b%b%b}' % (
        dumps(entry.configuration_id),
        entry.version,
        dumps(format_timestamp(entry.updated_at)),
        entry.config.encode(),
        b"" if entry.defaults is None else b',"defaults":' + entry.defaults.encode(),
        b"" if entry.secrets is None else b',"secrets":' + entry.secrets.encode(),
    )
