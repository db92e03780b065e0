"""``/applications/{application}/environments`` and each of them."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.models import Environment, EnvironmentDocument
from configsvc_server.domain.pages import DEFAULT_LIMIT, MAX_LIMIT
from configsvc_server.domain.strict_json import JsonObject, dumps
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.body_fields import (
    flag_member,
    integer_member,
    optional_text_member,
    require_same,
    text_member,
)
from configsvc_server.http.conditional import content_etag, is_not_modified, precondition
from configsvc_server.http.context import provenance_of
from configsvc_server.http.pagination import next_link
from configsvc_server.http.query_params import QueryReader
from configsvc_server.http.representations import environment_item
from configsvc_server.services.environments import EnvironmentService

__all__ = ["EnvironmentResource", "EnvironmentsResource"]

_MAX_OFFSET: Final = 2**31 - 1


class EnvironmentsResource:
    """The environments of an application, in the order of promotion."""

    def __init__(self, service: EnvironmentService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """List the environments of an application."""
        reader = QueryReader(req, frozenset({"limit", "offset", "after"}))
        limit = reader.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        offset = reader.integer("offset", 0, 0, _MAX_OFFSET)
        after = reader.text("after")
        environments = self._service.list(application)
        names = [environment.name for environment in environments]
        if after is not None and after not in names:
            reader.refuse("after", "must be the 'next' of an earlier page")
        reader.finish()
        start = offset + (names.index(after) + 1 if after is not None else 0)
        shown = environments[start : start + limit]
        has_more = start + limit < len(environments)
        resp.data = dumps(
            {
                "items": [environment_item(environment) for environment in shown],
                "total": len(environments),
                "limit": limit,
                "offset": offset,
                "has_more": has_more,
                "next": shown[-1].name if has_more else None,
            }
        )
        if has_more:
            resp.set_header("Link", next_link(req, shown[-1].name))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Create an environment."""
        body = self._bodies.read(req, "EnvironmentCreate")
        document = _document(body, position=0)
        environment = self._service.create(
            application,
            text_member(body, "name"),
            position=integer_member(body, "position"),
            auto_release=document.auto_release,
            protected=document.protected,
            provenance=provenance_of(req, body),
        )
        resp.status = HTTPStatus.CREATED
        resp.location = (
            f"/api/v1/applications/{environment.application_id}"
            f"/environments/{quote(environment.name)}"
        )
        _show(resp, environment)


class EnvironmentResource:
    """One environment."""

    def __init__(self, service: EnvironmentService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Get an environment."""
        found = self._service.get(application, environment)
        if not is_not_modified(req, resp, _etag(found)):
            _show(resp, found)

    on_head = on_get

    def on_put(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Replace an environment."""
        check = precondition(req, _etag)
        body = self._bodies.read(req, "EnvironmentReplace")

        def edit(current: Environment) -> EnvironmentDocument:
            _require_identity(body, current)
            return _document(body, position=current.position)

        changed = self._service.edit(
            application, environment, edit, provenance=provenance_of(req, body), precondition=check
        )
        _show(resp, changed)

    def on_patch(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Change parts of an environment."""
        check = precondition(req, _etag)
        body = self._bodies.read_patch(req, "EnvironmentPatch")

        def edit(current: Environment) -> EnvironmentDocument:
            _require_identity(body, current)
            base: dict[str, bool] = {"protected": current.protected}
            # What becomes protected ceases to release by itself, unless that is said as well.
            if not flag_member(body, "protected") or current.protected:
                base["auto_release"] = current.auto_release
            return _document({**base, **body}, position=current.position)

        changed = self._service.edit(
            application, environment, edit, provenance=provenance_of(req, body), precondition=check
        )
        _show(resp, changed)

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Delete an environment."""
        self._service.delete(
            application,
            environment,
            provenance=provenance_of(req),
            precondition=precondition(req, _etag),
        )
        resp.status = HTTPStatus.NO_CONTENT


def _document(body: JsonObject, *, position: int) -> EnvironmentDocument:
    given = integer_member(body, "position")
    protected = flag_member(body, "protected") or False
    auto_release = flag_member(body, "auto_release")
    if protected and auto_release:
        message = "must be false in a protected environment: only explicit releases change it"
        raise InvalidError([FieldError("/auto_release", message)])
    return EnvironmentDocument(
        position=position if given is None else given,
        auto_release=not protected if auto_release is None else auto_release,
        protected=protected,
    )


def _require_identity(body: JsonObject, current: Environment) -> None:
    require_same(body, "application_id", current.application_id)
    name = optional_text_member(body, "name")
    if name is not None and name != current.name:
        message = (
            f"must be {current.name!r}: overlays and clients know the environment by it, so it "
            "can't change"
        )
        raise InvalidError([FieldError("/name", message)])


def _etag(environment: Environment) -> str:
    return content_etag(dumps(environment_item(environment)))


def _show(resp: falcon.Response, environment: Environment) -> None:
    resp.etag = _etag(environment)
    resp.data = dumps(environment_item(environment))
