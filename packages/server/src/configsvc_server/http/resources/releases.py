"""``/configurations/{id}/releases``, and ``/applications/{application}/promote``."""

from http import HTTPStatus

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.pages import NumberedPage
from configsvc_server.domain.strict_json import dumps
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.body_fields import integer_member, text_member
from configsvc_server.http.conditional import versions_wanted
from configsvc_server.http.context import provenance_of
from configsvc_server.http.pagination import NUMBERED_PAGING, next_link, numbered_request
from configsvc_server.http.query_params import QueryReader
from configsvc_server.http.representations import numbered_body, release_item
from configsvc_server.services.releases import ReleaseService

__all__ = ["PromoteResource", "ReleaseRollbackResource", "ReleasesResource"]


class ReleasesResource:
    """What environments serve of a configuration, and served."""

    def __init__(self, service: ReleaseService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """List the releases of a configuration."""
        reader = QueryReader(req, NUMBERED_PAGING | {"environment", "current"})
        request = numbered_request(reader, "id")
        environment = reader.text("environment")
        only_current = reader.choice("current", ["true", "false"]) == "true"
        reader.finish()
        if only_current:
            found = self._service.current(id, environment=environment)
            if request.descending:
                found.reverse()
            if request.after is not None:
                after = request.after
                found = [r for r in found if (r.id < after if request.descending else r.id > after)]
            shown = found[request.offset : request.offset + request.limit]
            page = NumberedPage(
                items=shown,
                has_more=request.offset + request.limit < len(found),
                last=shown[-1].id if shown else None,
                total=len(found),
            )
        else:
            page = self._service.history(id, request, environment=environment)
        resp.data = numbered_body(page, request, release_item)
        if page.has_more:
            resp.set_header("Link", next_link(req, str(page.last)))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Release a version of a configuration, or withdraw it."""
        if_version = versions_wanted(req)
        body = self._bodies.read(req, "ReleaseCreate")
        environment = text_member(body, "environment")
        provenance = provenance_of(req, body)
        if "version" in body and body["version"] is None:
            release = self._service.withdraw(
                id, environment, provenance=provenance, if_version=if_version
            )
            is_new = True
        else:
            release, is_new = self._service.release(
                id,
                environment,
                version=integer_member(body, "version"),
                provenance=provenance,
                if_version=if_version,
            )
        resp.status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        resp.data = dumps(release_item(release))


class ReleaseRollbackResource:
    """The way back from a release."""

    def __init__(self, service: ReleaseService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Make an environment serve again what it served before."""
        if_version = versions_wanted(req)
        body = self._bodies.read(req, "ReleaseRollback")
        release = self._service.roll_back(
            id,
            text_member(body, "environment"),
            provenance=provenance_of(req, body),
            if_version=if_version,
        )
        resp.status = HTTPStatus.CREATED
        resp.data = dumps(release_item(release))


class PromoteResource:
    """The way from one environment to the next."""

    def __init__(self, service: ReleaseService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Release in one environment what another serves, all or nothing."""
        body = self._bodies.read(req, "Promote")
        source, target = text_member(body, "from"), text_member(body, "to")
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
