"""``/configurations``, ``/configurations/{id}`` and those of one application."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import falcon

from configsvc_server.cache.responses import Rendered
from configsvc_server.domain.errors import FieldError, InvalidError, NotFoundError
from configsvc_server.domain.identifiers import normalize_ulid
from configsvc_server.domain.models import Configuration, ConfigurationDocument
from configsvc_server.domain.strict_json import JsonObject, dumps
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.body_fields import (
    object_member,
    optional_text_member,
    patched,
    require_same,
    text_member,
    ulid_member,
)
from configsvc_server.http.conditional import (
    configuration_etag,
    is_not_modified,
    versions_wanted,
    wants_fresh,
)
from configsvc_server.http.context import provenance_of
from configsvc_server.http.pagination import next_link, read_list_query
from configsvc_server.http.representations import configuration_item, page_body
from configsvc_server.services.configurations import ConfigurationService

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ApplicationConfigurationsResource",
    "ConfigurationResource",
    "ConfigurationsResource",
    "ValidateResource",
    "document_of",
    "render_configuration",
    "show_configuration",
]

_NESTED_FILTERS: Final = frozenset({"name", "q"})
_FILTERS: Final = _NESTED_FILTERS | {"application_id"}


class ConfigurationsResource:
    """Every configuration."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List configurations."""
        query = read_list_query(req, filters=_FILTERS)
        page = self._service.list(
            query.page, application_id=query.application_id, name=query.name, text=query.text
        )
        resp.data = page_body(page, query.page, configuration_item)
        if page.next:
            resp.set_header("Link", next_link(req, page.next.encode()))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a configuration."""
        body = self._bodies.read(req, "ConfigurationCreate")
        application_id = text_member(body, "application_id")
        try:
            configuration = self._service.create(
                document_of(body),
                application=application_id,
                configuration_id=ulid_member(body, "id"),
                provenance=provenance_of(req, body),
            )
        except NotFoundError:
            message = "must be the id of an application that exists"
            raise InvalidError([FieldError("/application_id", message)]) from None
        _show_created(resp, configuration)


class ApplicationConfigurationsResource:
    """The configurations of one application, given by id or name."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """List the configurations of an application."""
        query = read_list_query(req, filters=_NESTED_FILTERS)
        page = self._service.list_of(application, query.page, name=query.name, text=query.text)
        resp.data = page_body(page, query.page, configuration_item)
        if page.next:
            resp.set_header("Link", next_link(req, page.next.encode()))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Create a configuration in an application."""
        body = self._bodies.read(req, "ConfigurationCreateInApplication")
        configuration = self._service.create(
            document_of(body),
            application=application,
            configuration_id=ulid_member(body, "id"),
            provenance=provenance_of(req, body),
            check=lambda application_id: require_same(body, "application_id", application_id),
        )
        _show_created(resp, configuration)


class ConfigurationResource:
    """One configuration."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Get a configuration."""
        rendered = self._service.get(id, from_memory=not wants_fresh(req))
        if not is_not_modified(req, resp, rendered.etag):
            resp.data = rendered.body

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Replace a configuration."""
        if_version = versions_wanted(req)
        body = self._bodies.read(req, "ConfigurationReplace")
        require_same(body, "id", normalize_ulid(id))
        configuration = self._service.replace(
            id,
            document_of(body),
            provenance=provenance_of(req, body),
            application_id=ulid_member(body, "application_id"),
            if_version=if_version,
        )
        show_configuration(resp, configuration)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Change parts of a configuration."""
        if_version = versions_wanted(req)
        body = self._bodies.read_patch(req, "ConfigurationPatch")
        require_same(body, "id", normalize_ulid(id))

        def edit(current: Configuration) -> ConfigurationDocument:
            document = patched(current.document.members, body)
            self._bodies.check(document, "ConfigurationReplace")
            self._require_size(document)
            return document_of(document)

        configuration = self._service.edit(
            id,
            edit,
            provenance=provenance_of(req, body),
            application_id=ulid_member(body, "application_id"),
            if_version=if_version,
        )
        show_configuration(resp, configuration)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Delete a configuration."""
        self._service.delete(id, provenance=provenance_of(req), if_version=versions_wanted(req))
        resp.status = HTTPStatus.NO_CONTENT

    def _require_size(self, document: JsonObject) -> None:
        """Keep many small patches from making what one PUT could not."""
        size = len(dumps(document))
        if size > self._bodies.limit:
            message = f"would have {size} bytes; at most {self._bodies.limit} are possible"
            raise InvalidError([FieldError("/config", message)])


class ValidateResource:
    """``/configurations/validate``."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Try a configuration without writing it."""
        body = self._bodies.read(req, "ConfigurationValidate")
        configuration_id = ulid_member(body, "id")
        try:
            if configuration_id is None:
                self._bodies.check(body, "ConfigurationCreate")
                application_id = normalize_ulid(text_member(body, "application_id"))
                environments = self._service.validate_new(
                    document_of(body), application_id=application_id
                )
            else:
                environments = self._service.validate_change(
                    configuration_id,
                    lambda current: document_of({**current.document.members, **body}),
                    application_id=ulid_member(body, "application_id"),
                )
        except NotFoundError as error:
            member = "application_id" if error.entity == "application" else "id"
            message = f"must be the id of {error.entity_with_article} that exists"
            raise InvalidError([FieldError(f"/{member}", message)]) from None
        resp.data = dumps({"valid": True, "environments": environments})


def document_of(body: JsonObject) -> ConfigurationDocument:
    """Return the document that a valid body has."""
    return ConfigurationDocument(
        name=text_member(body, "name"),
        comments=optional_text_member(body, "comments"),
        config=object_member(body, "config"),
        overlays=cast("Mapping[str, JsonObject]", body.get("overlays") or {}),
        schema=cast("JsonObject | None", body.get("schema")),
    )


def render_configuration(configuration: Configuration) -> Rendered:
    """Write a configuration."""
    body = dumps(configuration_item(configuration))
    return Rendered(configuration_etag(configuration), body)


def show_configuration(resp: falcon.Response, configuration: Configuration) -> None:
    """Answer with a configuration."""
    rendered = render_configuration(configuration)
    resp.etag = rendered.etag
    resp.data = rendered.body


def _show_created(resp: falcon.Response, configuration: Configuration) -> None:
    resp.status = HTTPStatus.CREATED
    resp.location = f"/api/v1/configurations/{configuration.id}"
    show_configuration(resp, configuration)
