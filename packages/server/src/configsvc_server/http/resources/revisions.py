"""``/configurations/{id}/revisions``, ``diff``, ``rollback`` and ``restore``."""

import re
from typing import Final

import falcon

from configsvc_server.domain.diff import Difference
from configsvc_server.domain.errors import NotFoundError
from configsvc_server.domain.strict_json import JsonObject, JsonValue, dumps
from configsvc_server.http.bodies import (
    BodyReader,
    integer_field,
    object_field,
    optional_text_field,
)
from configsvc_server.http.conditional import (
    answer_not_modified,
    read_if_match,
    read_if_none_match,
    refuse_if_match,
)
from configsvc_server.http.context import principal_of, provenance_of
from configsvc_server.http.pagination import PAGING, read_sequence_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import revision_item
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
    """Revisions of a configuration, also of a deleted one."""

    def __init__(self, service: HistoryService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """List the revisions of a configuration."""
        params = QueryParams(req, PAGING)
        request = read_sequence_request(params, "version")
        params.finish()
        page = self._service.revisions(principal_of(req), id, request)
        show_page(req, resp, request, page, revision_item)

    on_head = on_get


class RevisionResource:
    """Revision, by version."""

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
        revision = self._service.revision(principal_of(req), id, int(version))
        if not answer_not_modified(resp, revision.digest, read_if_none_match(req)):
            resp.data = dumps(revision_item(revision))

    on_head = on_get


class DiffResource:
    """Differences between two versions, environments, or a version and a document."""

    def __init__(self, service: HistoryService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Compare versions or environments."""
        params = QueryParams(req, _SIDES)
        request = DiffRequest(
            from_version=params.integer("from", None, 1, _MAX_VERSION),
            to_version=params.integer("to", None, 1, _MAX_VERSION),
            from_environment=params.text("from_environment"),
            to_environment=params.text("to_environment"),
            environment=params.text("environment"),
        )
        _refuse_both(params, "from")
        _refuse_both(params, "to")
        params.finish()
        resp.data = dumps(_comparison(self._service.compare(principal_of(req), id, request)))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Compare a version with a document."""
        body = self._bodies.read(req, "DiffRequest")
        request = DiffRequest(
            from_version=integer_field(body, "from"),
            environment=optional_text_field(body, "environment"),
            document=document_of(object_field(body, "document")),
        )
        resp.data = dumps(_comparison(self._service.compare(principal_of(req), id, request)))


class RollbackResource:
    """Rollback to an earlier version."""

    def __init__(self, service: HistoryService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Make a new version from the content of an earlier one."""
        if_match = read_if_match(req)
        body = self._bodies.read(req, "Rollback")
        version = integer_field(body, "version")
        assert version is not None  # noqa: S101 - the schema requires it
        configuration = self._service.roll_back(
            id, version, provenance=provenance_of(req, body), if_match=if_match
        )
        show_configuration(resp, configuration)


class RestoreResource:
    """Restoration of a deleted configuration."""

    def __init__(self, service: HistoryService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Bring a deleted configuration back."""
        refuse_if_match(req)
        body = self._bodies.read_optional(req, "Restore")
        configuration = self._service.restore(
            id, version=integer_field(body, "version"), provenance=provenance_of(req, body)
        )
        show_configuration(resp, configuration)


def _refuse_both(params: QueryParams, side: str) -> None:
    if params.raw(side) is not None and params.raw(f"{side}_environment") is not None:
        params.refuse(side, f"must not be given together with {side}_environment")


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
