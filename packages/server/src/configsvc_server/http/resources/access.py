"""``/tokens``, ``/grants`` and ``/me``: who may do what."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, cast

import falcon

from configsvc_server.domain.access.tokens import DEFAULT_OVERLAP
from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.strict_json import JsonObject, dumps
from configsvc_server.http import PREFIX
from configsvc_server.http.bodies import (
    BodyReader,
    integer_field,
    optional_text_field,
    text_field,
)
from configsvc_server.http.context import principal_of, provenance_of
from configsvc_server.http.pagination import PAGING, ListOrder, read_page_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import (
    format_timestamp,
    stored_grant_item,
    token_item,
)
from configsvc_server.services.grant_requests import GrantRequest
from configsvc_server.services.grants import GrantService, ListedGrant
from configsvc_server.services.tokens import CreatedToken, ShownToken, TokenService

__all__ = [
    "GrantResource",
    "GrantsResource",
    "MeResource",
    "TokenResource",
    "TokenRotateResource",
    "TokensResource",
]

_TOKENS: Final = ListOrder(("id", "name"), "id")
_GRANTS: Final = ListOrder(("id", "principal"), "id")


class TokensResource:
    """API tokens."""

    def __init__(self, service: TokenService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the tokens that the caller administers, and its own."""
        params = QueryParams(req, PAGING)
        request = read_page_request(params, _TOKENS)
        params.finish()
        page = self._service.list(principal_of(req), request)
        show_page(req, resp, request, page, _token)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a token, and show its secret once."""
        body = self._bodies.read(req, "TokenCreate")
        created = self._service.create(
            text_field(body, "name"),
            [_grant_request(grant) for grant in cast("list[JsonObject]", body["grants"])],
            expires_at=_timestamp_field(body, "expires_at"),
            provenance=provenance_of(req, body),
        )
        resp.status = HTTPStatus.CREATED
        resp.location = f"{PREFIX}/tokens/{created.shown.token.id}"
        _show_secret(resp, created)


class TokenResource:
    """API token, by id."""

    def __init__(self, service: TokenService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Get a token, without its secret."""
        resp.data = dumps(_token(self._service.get(principal_of(req), id)))

    on_head = on_get

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Revoke a token."""
        self._service.delete(id, provenance=provenance_of(req))
        resp.status = HTTPStatus.NO_CONTENT


class TokenRotateResource:
    """Rotation of an API token."""

    def __init__(self, service: TokenService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Give a token a new secret, and show it once."""
        body = self._bodies.read_optional(req, "TokenRotate")
        overlap = integer_field(body, "overlap")
        rotated = self._service.rotate(
            id,
            overlap=DEFAULT_OVERLAP if overlap is None else timedelta(seconds=overlap),
            expires_at=_timestamp_field(body, "expires_at"),
            provenance=provenance_of(req, body),
        )
        _show_secret(resp, rotated)


class GrantsResource:
    """Grants of roles."""

    def __init__(self, service: GrantService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the grants that the caller administers."""
        params = QueryParams(req, PAGING | {"principal", "application_id"})
        request = read_page_request(params, _GRANTS)
        principal, application_id = params.text("principal"), params.ulid("application_id")
        params.finish()
        page = self._service.list(
            principal_of(req), request, of=principal, application_id=application_id
        )
        show_page(req, resp, request, page, _listed)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Give a role to a principal or group."""
        body = self._bodies.read(req, "GrantCreate")
        created = self._service.create(
            text_field(body, "principal"),
            _grant_request(body),
            provenance=provenance_of(req, body),
        )
        resp.status = HTTPStatus.CREATED
        resp.data = dumps(_listed(created))


class GrantResource:
    """Grant, by id."""

    def __init__(self, service: GrantService) -> None:
        self._service = service

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """Withdraw a grant."""
        self._service.delete(id, provenance=provenance_of(req))
        resp.status = HTTPStatus.NO_CONTENT


class MeResource:
    """The caller, and what it may do."""

    def __init__(self, grants: GrantService, tokens: TokenService, *, is_required: bool) -> None:
        self._grants = grants
        self._tokens = tokens
        self._is_required = is_required

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell who has sent the request, and what that one may do."""
        principal = principal_of(req)
        token: JsonObject | None = None
        if principal.token_id is not None and principal.kind == "token":
            found = self._tokens.get(principal, principal.token_id).token
            expires_at = found.expires_at
            token = {
                "id": found.id,
                "name": found.name,
                "expires_at": None if expires_at is None else format_timestamp(expires_at),
            }
        resp.set_header("Cache-Control", "no-store")
        resp.data = dumps(
            {
                "kind": principal.kind,
                "name": principal.name,
                "groups": list(principal.groups),
                "grants": [item.members for item in self._grants.describe(principal)],
                "token": token,
                "csrf_token": getattr(req.context, "csrf_token", None),
                "auth": "required" if self._is_required else "off",
            }
        )

    on_head = on_get


def _grant_request(body: JsonObject) -> GrantRequest:
    return GrantRequest(
        text_field(body, "role"),
        optional_text_field(body, "application"),
        optional_text_field(body, "environment"),
    )


def _timestamp_field(body: JsonObject, name: str) -> datetime | None:
    text = optional_text_field(body, name)
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        message = "must be a time with its zone, such as 2030-01-31T12:00:00Z"
        raise InvalidError([FieldError(f"/{name}", message)])
    return parsed


def _token(shown: ShownToken) -> JsonObject:
    return token_item(shown.token, shown.grants)


def _listed(listed: ListedGrant) -> JsonObject:
    return stored_grant_item(listed.stored, listed.application)


def _show_secret(resp: falcon.Response, created: CreatedToken) -> None:
    resp.set_header("Cache-Control", "no-store")
    resp.data = dumps({**_token(created.shown), "token": created.secret})
