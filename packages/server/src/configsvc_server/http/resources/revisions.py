"""``/configurations/{id}/revisions``, ``diff``, ``rollback`` and ``restore``."""

import re
from typing import Final

import falcon

from configsvc_server.domain.diff import Difference
from configsvc_server.domain.errors import NotFoundError
from configsvc_server.domain.strict_json import JsonObject, JsonValue, dumps
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.body_fields import (
    integer_member,
    object_member,
    optional_text_member,
)
from configsvc_server.http.conditional import is_not_modified, refuse_if_match, versions_wanted
from configsvc_server.http.context import provenance_of
from configsvc_server.http.pagination import NUMBERED_PAGING, next_link, numbered_request
from configsvc_server.http.query_params import QueryReader
from configsvc_server.http.representations import numbered_body, revision_item
from configsvc_server.http.resources.configurations import document_of, show_configuration
from configsvc_server.services.history import Comparison, DiffRequest, HistoryService, Side

__all__ = [
    "DiffResource",
    "RestoreResource",
    "RevisionResource",
    "RevisionsResource",
    "RollbackResource",
]

_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_MAX_VERSION: Final = 2**63 - 1

_SIDES: Final = frozenset({"from", "to", "from_environment", "to_environment", "environment"})


class RevisionsResource:
    """The history of a configuration, also of one that has been deleted since."""

    def __init__(self, service: HistoryService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """List the revisions of a configuration."""
        reader = QueryReader(req, NUMBERED_PAGING)
        request = numbered_request(reader, "version")
        reader.finish()
        page = self._service.revisions(id, request)
        resp.data = numbered_body(page, request, revision_item)
        if page.has_more:
            resp.set_header("Link", next_link(req, str(page.last)))

    on_head = on_get


class RevisionResource:
    """One revision."""

    def __init__(self, service: HistoryService) -> None:
        self._service = service

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        id: str,  # noqa: A002
        version: str,
    ) -> None:
        """Get a revision."""
        if not _VERSION.fullmatch(version):
            raise NotFoundError("revision", version)
        revision = self._service.revision(id, int(version))
        if not is_not_modified(req, resp, revision.digest):
            resp.data = dumps(revision_item(revision))

    on_head = on_get


class DiffResource:
    """What differs between two versions, environments, or a version and a document."""

    def __init__(self, service: HistoryService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Compare versions or environments."""
        reader = QueryReader(req, _SIDES)
        request = DiffRequest(
            from_version=reader.integer("from", None, 1, _MAX_VERSION),
            to_version=reader.integer("to", None, 1, _MAX_VERSION),
            from_environment=reader.text("from_environment"),
            to_environment=reader.text("to_environment"),
            environment=reader.text("environment"),
        )
        _refuse_both(reader, "from")
        _refuse_both(reader, "to")
        reader.finish()
        resp.data = dumps(_comparison(self._service.compare(id, request)))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Compare a version with a document."""
        body = self._bodies.read(req, "DiffRequest")
        request = DiffRequest(
            from_version=integer_member(body, "from"),
            environment=optional_text_member(body, "environment"),
            document=document_of(object_member(body, "document")),
        )
        resp.data = dumps(_comparison(self._service.compare(id, request)))


class RollbackResource:
    """The way back to an earlier version."""

    def __init__(self, service: HistoryService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Make a new version from the content of an earlier one."""
        if_version = versions_wanted(req)
        body = self._bodies.read(req, "Rollback")
        version = integer_member(body, "version")
        assert version is not None  # noqa: S101 - the schema requires it
        configuration = self._service.roll_back(
            id, version, provenance=provenance_of(req, body), if_version=if_version
        )
        show_configuration(resp, configuration)


class RestoreResource:
    """The way back from a deletion."""

    def __init__(self, service: HistoryService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Bring a deleted configuration back."""
        refuse_if_match(req)
        body = self._bodies.read_optional(req, "Restore")
        configuration = self._service.restore(
            id, version=integer_member(body, "version"), provenance=provenance_of(req, body)
        )
        show_configuration(resp, configuration)


def _refuse_both(reader: QueryReader, side: str) -> None:
    if reader.raw(side) is not None and reader.raw(f"{side}_environment") is not None:
        reader.refuse(side, f"must not be given together with {side}_environment")


def _comparison(comparison: Comparison) -> JsonObject:
    return {
        "configuration_id": comparison.configuration_id,
        "from": _side(comparison.before),
        "to": _side(comparison.after),
        "patch": comparison.patch,
        "changes": [_difference(difference) for difference in comparison.differences],
    }


def _side(side: Side) -> JsonObject:
    return {"version": side.version, "environment": side.environment}


def _difference(difference: Difference) -> JsonObject:
    shown: dict[str, JsonValue] = {"path": difference.path, "kind": difference.kind}
    if difference.kind != "added":
        shown["old"] = difference.old
    if difference.kind != "removed":
        shown["new"] = difference.new
    return shown
