"""``/applications`` and ``/applications/{application}``."""

from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.models import ApplicationDetail, ApplicationDocument
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http import PREFIX
from configsvc_server.http.bodies import (
    BodyReader,
    optional_text_field,
    text_field,
    ulid_field,
)
from configsvc_server.http.conditional import (
    answer_not_modified,
    read_if_match,
    read_if_none_match,
)
from configsvc_server.http.context import principal_of, provenance_of
from configsvc_server.http.pagination import NAMED_LIST, PAGING, read_page_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import application_body, application_item
from configsvc_server.services.applications import ApplicationService

__all__ = ["ApplicationResource", "ApplicationsResource"]

_MEMBERS: Final = ("name", "comments")
_PARAMS: Final = PAGING | {"name", "q"}


class ApplicationsResource:
    """All applications."""

    def __init__(self, service: ApplicationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List applications."""
        params = QueryParams(req, _PARAMS)
        request = read_page_request(params, NAMED_LIST)
        name, text = params.text("name"), params.text("q")
        params.finish()
        page = self._service.list(principal_of(req), request, name=name, text=text)
        show_page(req, resp, request, page, application_item)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create an application."""
        body = self._bodies.read(req, "ApplicationCreate")
        detail = self._service.create(
            ApplicationDocument(text_field(body, "name"), optional_text_field(body, "comments")),
            application_id=ulid_field(body, "id"),
            provenance=provenance_of(req, body),
        )
        resp.status = HTTPStatus.CREATED
        resp.location = f"{PREFIX}/applications/{detail.application.id}"
        _show(resp, detail)


class ApplicationResource:
    """Application, by id or name."""

    def __init__(self, service: ApplicationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Get an application."""
        detail = self._service.get(principal_of(req), application)
        if not answer_not_modified(resp, detail.application.etag, read_if_none_match(req)):
            _show(resp, detail)

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Replace an application."""
        if_match = read_if_match(req)
        body = self._bodies.read(req, "ApplicationReplace")
        self._update(req, resp, application, {"comments": None, **body}, if_match)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Change parts of an application."""
        if_match = read_if_match(req)
        body = self._bodies.read_patch(req, "ApplicationPatch")
        self._update(req, resp, application, body, if_match)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Delete an application and its configurations."""
        if_match = read_if_match(req)
        self._service.delete(application, provenance=provenance_of(req), if_match=if_match)
        resp.status = HTTPStatus.NO_CONTENT

    def _update(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        application: str,
        body: JsonObject,
        if_match: EntityTags | None,
    ) -> None:
        detail = self._service.update(
            application,
            {name: optional_text_field(body, name) for name in _MEMBERS if name in body},
            provenance=provenance_of(req, body),
            application_id=ulid_field(body, "id"),
            if_match=if_match,
        )
        _show(resp, detail)


def _show(resp: falcon.Response, detail: ApplicationDetail) -> None:
    resp.etag = detail.application.etag
    resp.data = application_body(detail)
