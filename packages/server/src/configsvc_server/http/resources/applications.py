"""``/applications`` and ``/applications/{application}``."""

from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server.domain.models import ApplicationDetail, ApplicationDocument
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.body_fields import (
    optional_text_member,
    patched,
    require_same,
    text_member,
    ulid_member,
)
from configsvc_server.http.conditional import (
    application_etag,
    is_not_modified,
    precondition,
)
from configsvc_server.http.context import provenance_of
from configsvc_server.http.pagination import next_link, read_list_query
from configsvc_server.http.representations import application_body, application_item, page_body
from configsvc_server.services.applications import ApplicationService

__all__ = ["ApplicationResource", "ApplicationsResource"]

_FILTERS: Final = frozenset({"name", "q"})


class ApplicationsResource:
    """Every application."""

    def __init__(self, service: ApplicationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List applications."""
        query = read_list_query(req, filters=_FILTERS)
        page = self._service.list(query.page, name=query.name, text=query.text)
        resp.data = page_body(page, query.page, application_item)
        if page.next:
            resp.set_header("Link", next_link(req, page.next.encode()))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create an application."""
        body = self._bodies.read(req, "ApplicationCreate")
        detail = self._service.create(
            _document(body),
            application_id=ulid_member(body, "id"),
            provenance=provenance_of(req, body),
        )
        resp.status = HTTPStatus.CREATED
        resp.location = f"/api/v1/applications/{detail.application.id}"
        _show(resp, detail)


class ApplicationResource:
    """One application, by id or name."""

    def __init__(self, service: ApplicationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Get an application."""
        detail = self._service.get(application)
        if not is_not_modified(req, resp, application_etag(detail)):
            _show(resp, detail)

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Replace an application."""
        check = precondition(req, application_etag)
        body = self._bodies.read(req, "ApplicationReplace")

        def edit(current: ApplicationDetail) -> ApplicationDocument:
            require_same(body, "id", current.application.id)
            return _document(body)

        detail = self._service.edit(
            application, edit, provenance=provenance_of(req, body), precondition=check
        )
        _show(resp, detail)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Change parts of an application."""
        check = precondition(req, application_etag)
        body = self._bodies.read_patch(req, "ApplicationPatch")

        def edit(current: ApplicationDetail) -> ApplicationDocument:
            require_same(body, "id", current.application.id)
            base = {"name": current.application.name, "comments": current.application.comments}
            document = patched(base, body)
            self._bodies.check(document, "ApplicationReplace")
            return _document(document)

        detail = self._service.edit(
            application, edit, provenance=provenance_of(req, body), precondition=check
        )
        _show(resp, detail)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Delete an application and its configurations."""
        self._service.delete(
            application,
            provenance=provenance_of(req),
            precondition=precondition(req, application_etag),
        )
        resp.status = HTTPStatus.NO_CONTENT


def _show(resp: falcon.Response, detail: ApplicationDetail) -> None:
    resp.etag = application_etag(detail)
    resp.data = application_body(detail)


def _document(body: JsonObject) -> ApplicationDocument:
    return ApplicationDocument(
        name=text_member(body, "name"), comments=optional_text_member(body, "comments")
    )
