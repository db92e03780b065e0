"""``/configurations/{id}/releases``, and ``/applications/{application}/promote``."""

from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.strict_json import dumps
from configsvc_server.http.bodies import BodyReader, integer_field, text_field
from configsvc_server.http.conditional import read_if_match
from configsvc_server.http.context import principal_of, provenance_of
from configsvc_server.http.pagination import PAGING, read_sequence_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import release_item
from configsvc_server.services.releases import ReleaseService

__all__ = ["PromoteResource", "ReleaseRollbackResource", "ReleasesResource"]

_PARAMS: Final = PAGING | {"environment", "current"}


class ReleasesResource:
    """Releases of a configuration."""

    def __init__(self, service: ReleaseService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """List the releases of a configuration."""
        params = QueryParams(req, _PARAMS)
        request = read_sequence_request(params, "id")
        environment = params.text("environment")
        only_current = params.choice("current", ["true", "false"]) == "true"
        params.finish()
        page = self._service.list(
            principal_of(req), id, request, environment=environment, only_current=only_current
        )
        show_page(req, resp, request, page, release_item)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Release a version of a configuration, or withdraw it."""
        if_match = read_if_match(req)
        body = self._bodies.read(req, "ReleaseCreate")
        environment = text_field(body, "environment")
        provenance = provenance_of(req, body)
        if "version" in body and body["version"] is None:
            release = self._service.unrelease(
                id, environment, provenance=provenance, if_match=if_match
            )
            is_new = True
        else:
            release, is_new = self._service.release(
                id,
                environment,
                version=integer_field(body, "version"),
                provenance=provenance,
                if_match=if_match,
            )
        resp.status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        resp.data = dumps(release_item(release))


class ReleaseRollbackResource:
    """Rollback of a release."""

    def __init__(self, service: ReleaseService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Make an environment serve again what it served before."""
        if_match = read_if_match(req)
        body = self._bodies.read(req, "ReleaseRollback")
        release = self._service.roll_back(
            id,
            text_field(body, "environment"),
            provenance=provenance_of(req, body),
            if_match=if_match,
        )
        resp.status = HTTPStatus.CREATED
        resp.data = dumps(release_item(release))


class PromoteResource:
    """Promotion from one environment to another."""

    def __init__(self, service: ReleaseService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Release in one environment what another serves, all or nothing."""
        body = self._bodies.read(req, "Promote")
        source, target = text_field(body, "from"), text_field(body, "to")
        if source == target:
            raise InvalidError([FieldError("/to", "must be another environment than 'from'")])
        promotion = self._service.promote(
            application, source=source, target=target, provenance=provenance_of(req, body)
        )
        resp.data = dumps(
            {
                "from": promotion.source,
                "to": promotion.target,
                "released": [release_item(release) for release in promotion.released],
                "unchanged": promotion.unchanged,
            }
        )
