"""``/configurations``, ``/configurations/{id}`` and those of one application."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, cast

import falcon

from configsvc_server.cache.responses import CachedResponse
from configsvc_server.domain.errors import FieldError, InvalidError, NotFoundError
from configsvc_server.domain.identifiers import normalize_ulid
from configsvc_server.domain.models import Configuration, ConfigurationDocument
from configsvc_server.domain.overlays import merge_patch
from configsvc_server.domain.strict_json import JsonObject, dumps
from configsvc_server.http import PREFIX
from configsvc_server.http.bodies import (
    BodyReader,
    object_field,
    optional_text_field,
    text_field,
    ulid_field,
)
from configsvc_server.http.conditional import (
    answer_not_modified,
    has_no_cache,
    read_if_match,
    read_if_none_match,
)
from configsvc_server.http.context import principal_of, provenance_of
from configsvc_server.http.pagination import NAMED_LIST, PAGING, read_page_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import configuration_item
from configsvc_server.services.configurations import ConfigurationService

__all__ = [
    "MAX_VALIDATION_BYTES",
    "ApplicationConfigurationsResource",
    "ConfigurationResource",
    "ConfigurationsResource",
    "ValidateResource",
    "document_of",
    "render_configuration",
    "show_configuration",
]

MAX_VALIDATION_BYTES: Final = 16 * 1024 * 1024
"""Bytes of what all environments would serve, in the response to a validation."""

_NESTED_PARAMS: Final = PAGING | {"name", "q"}
_PARAMS: Final = _NESTED_PARAMS | {"application_id"}


class ConfigurationsResource:
    """All configurations."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List configurations."""
        params = QueryParams(req, _PARAMS)
        request = read_page_request(params, NAMED_LIST)
        application_id = params.ulid("application_id")
        name, text = params.text("name"), params.text("q")
        params.finish()
        page = self._service.list(
            principal_of(req), request, application_id=application_id, name=name, text=text
        )
        show_page(req, resp, request, page, configuration_item)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a configuration."""
        body = self._bodies.read(req, "ConfigurationCreate")
        application_id = text_field(body, "application_id")
        try:
            configuration = self._service.create(
                document_of(body),
                application=application_id,
                configuration_id=ulid_field(body, "id"),
                provenance=provenance_of(req, body),
            )
        except NotFoundError:
            message = "must be the id of an application that exists"
            raise InvalidError([FieldError("/application_id", message)]) from None
        _show_created(resp, configuration)


class ApplicationConfigurationsResource:
    """Configurations of one application, given by id or name."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """List the configurations of an application."""
        params = QueryParams(req, _NESTED_PARAMS)
        request = read_page_request(params, NAMED_LIST)
        name, text = params.text("name"), params.text("q")
        params.finish()
        page = self._service.list_of(principal_of(req), application, request, name=name, text=text)
        show_page(req, resp, request, page, configuration_item)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response, application: str) -> None:
        """Create a configuration in an application."""
        body = self._bodies.read(req, "ConfigurationCreateInApplication")
        configuration = self._service.create(
            document_of(body),
            application=application,
            configuration_id=ulid_field(body, "id"),
            provenance=provenance_of(req, body),
            required_application_id=ulid_field(body, "application_id"),
        )
        _show_created(resp, configuration)


class ConfigurationResource:
    """Configuration, by id."""

    def __init__(self, service: ConfigurationService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Get a configuration."""
        response = self._service.get(principal_of(req), id, bypass_cache=has_no_cache(req))
        if not answer_not_modified(resp, response.etag, read_if_none_match(req)):
            resp.data = response.body

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Replace a configuration."""
        if_match = read_if_match(req)
        body = self._bodies.read(req, "ConfigurationReplace")
        configuration = self._service.update(
            id,
            document_of(body),
            provenance=provenance_of(req, body),
            required_id=ulid_field(body, "id"),
            application_id=ulid_field(body, "application_id"),
            if_match=if_match,
        )
        show_configuration(resp, configuration)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Change parts of a configuration."""
        if_match = read_if_match(req)
        body = self._bodies.read_patch(req, "ConfigurationPatch")

        def edit(current: Configuration) -> ConfigurationDocument:
            members = current.document.members
            patch = {name: value for name, value in body.items() if name in members}
            document = cast("JsonObject", merge_patch(members, patch))
            self._bodies.check(document, "ConfigurationReplace")
            self._require_size(document)
            return document_of(document)

        configuration = self._service.update(
            id,
            edit,
            provenance=provenance_of(req, body),
            required_id=ulid_field(body, "id"),
            application_id=ulid_field(body, "application_id"),
            if_match=if_match,
        )
        show_configuration(resp, configuration)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Delete a configuration."""
        if_match = read_if_match(req)
        self._service.delete(id, provenance=provenance_of(req), if_match=if_match)
        resp.status = HTTPStatus.NO_CONTENT

    def _require_size(self, document: JsonObject) -> None:
        """Refuse a document that is too large for one PUT, and made by many small patches."""
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
        configuration_id = ulid_field(body, "id")
        try:
            if configuration_id is None:
                self._bodies.check(body, "ConfigurationCreate")
                application_id = normalize_ulid(text_field(body, "application_id"))
                environments = self._service.validate_new(
                    principal_of(req), document_of(body), application_id=application_id
                )
            else:
                environments = self._service.validate_change(
                    principal_of(req),
                    configuration_id,
                    lambda current: document_of({**current.document.members, **body}),
                    application_id=ulid_field(body, "application_id"),
                )
        except NotFoundError as error:
            member = "application_id" if error.entity == "application" else "id"
            message = f"must be the id of {error.entity_with_article} that exists"
            raise InvalidError([FieldError(f"/{member}", message)]) from None
        resp.data = b'{"valid":true,"environments":%b}' % _resolved(environments)


def document_of(body: JsonObject) -> ConfigurationDocument:
    """Return the document that a valid body has."""
    return ConfigurationDocument(
        name=text_field(body, "name"),
        comments=optional_text_field(body, "comments"),
        config=object_field(body, "config"),
        overlays=cast("Mapping[str, JsonObject]", body.get("overlays") or {}),
        schema=cast("JsonObject | None", body.get("schema")),
    )


def render_configuration(configuration: Configuration) -> CachedResponse:
    """Return the response of a configuration."""
    return CachedResponse(
        configuration.etag,
        dumps(configuration_item(configuration)),
        configuration.application_id,
    )


def show_configuration(resp: falcon.Response, configuration: Configuration) -> None:
    """Answer with a configuration."""
    response = render_configuration(configuration)
    resp.etag = response.etag
    resp.data = response.body


def _resolved(environments: Mapping[str, JsonObject]) -> bytes:
    """Return the JSON of what environments would serve, each equal value written once.

    Raises:
        InvalidError: it is too much for one response.
    """
    written: dict[int, bytes] = {}
    members = []
    size = 0
    for name, config in environments.items():
        text = written.get(id(config))
        if text is None:
            text = written[id(config)] = dumps(config)
        size += len(text)
        if size > MAX_VALIDATION_BYTES:
            message = (
                f"is valid, but what the {len(environments)} environments would serve has more "
                f"than {MAX_VALIDATION_BYTES} bytes, too much for one response"
            )
            raise InvalidError([FieldError("/config", message)])
        members.append(dumps(name) + b":" + text)
    return b"{" + b",".join(members) + b"}"


def _show_created(resp: falcon.Response, configuration: Configuration) -> None:
    resp.status = HTTPStatus.CREATED
    resp.location = f"{PREFIX}/configurations/{configuration.id}"
    show_configuration(resp, configuration)
