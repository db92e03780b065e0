"""``/applications/{application}/environments`` and each of them."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import falcon

from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.models import Environment, EnvironmentPatch
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http import PREFIX
from configsvc_server.http.bodies import (
    BodyReader,
    boolean_field,
    integer_field,
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
from configsvc_server.http.pagination import (
    PAGING,
    PROMOTION_ORDER,
    read_page_request,
    show_page,
)
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import environment_body, environment_item
from configsvc_server.services.environments import EnvironmentService

__all__ = ["EnvironmentResource", "EnvironmentsResource"]

_PARAMS: Final = PAGING - {"sort"}


class EnvironmentsResource:
    """Environments of an application, in the order of promotion."""

    def __init__(self, service: EnvironmentService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """List the environments of an application."""
        params = QueryParams(req, _PARAMS)
        request = read_page_request(params, PROMOTION_ORDER)
        params.finish()
        page = self._service.list(principal_of(req), application, request)
        show_page(req, resp, request, page, environment_item)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Create an environment."""
        body = self._bodies.read(req, "EnvironmentCreate")
        environment = self._service.create(
            application,
            text_field(body, "name"),
            position=integer_field(body, "position"),
            auto_release=boolean_field(body, "auto_release"),
            protected=boolean_field(body, "protected") or False,
            provenance=provenance_of(req, body),
        )
        resp.status = HTTPStatus.CREATED
        resp.location = (
            f"{PREFIX}/applications/{environment.application_id}"
            f"/environments/{quote(environment.name)}"
        )
        _show(resp, environment)


class EnvironmentResource:
    """Environment, by name."""

    def __init__(self, service: EnvironmentService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Get an environment."""
        found = self._service.get(principal_of(req), application, environment)
        if not answer_not_modified(resp, found.etag, read_if_none_match(req)):
            _show(resp, found)

    on_head = on_get

    def on_put(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Replace an environment."""
        if_match = read_if_match(req)
        body = self._bodies.read(req, "EnvironmentReplace")
        protected = boolean_field(body, "protected") or False
        auto_release = boolean_field(body, "auto_release")
        patch = EnvironmentPatch(
            # The server has chosen the position if nobody else has: it stays if left out.
            position=integer_field(body, "position"),
            auto_release=not protected if auto_release is None else auto_release,
            protected=protected,
        )
        self._update(req, resp, (application, environment), body, patch, if_match)

    def on_patch(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Change parts of an environment."""
        if_match = read_if_match(req)
        body = self._bodies.read_patch(req, "EnvironmentPatch")
        patch = EnvironmentPatch(
            position=integer_field(body, "position"),
            auto_release=boolean_field(body, "auto_release"),
            protected=boolean_field(body, "protected"),
        )
        self._update(req, resp, (application, environment), body, patch, if_match)

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Delete an environment."""
        if_match = read_if_match(req)
        self._service.delete(
            application, environment, provenance=provenance_of(req), if_match=if_match
        )
        resp.status = HTTPStatus.NO_CONTENT

    def _update(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        key: tuple[str, str],
        body: JsonObject,
        patch: EnvironmentPatch,
        if_match: EntityTags | None,
    ) -> None:
        environment = self._service.update(
            *key,
            patch,
            provenance=provenance_of(req, body),
            application_id=ulid_field(body, "application_id"),
            new_name=optional_text_field(body, "name"),
            if_match=if_match,
        )
        _show(resp, environment)


def _show(resp: falcon.Response, environment: Environment) -> None:
    resp.etag = environment.etag
    resp.data = environment_body(environment)
