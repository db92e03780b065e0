"""``/sessions``: persons who are signed in."""

from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server.domain.access.sessions import StoredSession
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http.context import principal_of, provenance_of
from configsvc_server.http.pagination import PAGING, ListOrder, read_page_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import format_timestamp
from configsvc_server.services.sessions import SessionService

__all__ = ["SessionResource", "SessionsResource"]

_ORDER: Final = ListOrder(("id",), unique="id")


class SessionsResource:
    """Sessions: one's own, or for administrators all."""

    def __init__(self, service: SessionService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List sessions."""
        params = QueryParams(req, PAGING)
        request = read_page_request(params, _ORDER)
        params.finish()
        page = self._service.list(principal_of(req), request)
        show_page(req, resp, request, page, _item)

    on_head = on_get


class SessionResource:
    """One session."""

    def __init__(self, service: SessionService) -> None:
        self._service = service

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:  # noqa: A002
        """End a session."""
        self._service.revoke(id, provenance=provenance_of(req))
        resp.status = HTTPStatus.NO_CONTENT


def _item(session: StoredSession) -> JsonObject:
    return {
        "id": session.id,
        "principal": session.principal,
        "issuer": session.issuer,
        "groups": list(session.groups),
        "token_id": session.token_id,
        "created_at": format_timestamp(session.created_at),
        "last_seen_at": format_timestamp(session.last_seen_at),
        "expires_at": format_timestamp(session.expires_at),
        "address": session.address,
        "user_agent": session.user_agent,
    }
