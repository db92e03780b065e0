"""Middleware that counts and measures requests.

Labels have few values: the template of the route, known methods, status codes, and how the caller
has shown who it is. What the caller may choose, such as a path or a name, is none of them.
"""

import time
from http import HTTPStatus
from typing import Final

import falcon

from configsvc_server.domain.access.principals import NOBODY
from configsvc_server.domain.access.token_secrets import TOKEN_PREFIX
from configsvc_server.http import PREFIX
from configsvc_server.http.context import parking_of, principal_of
from configsvc_server.http.cookies import CookieJar
from configsvc_server.telemetry.requests import UNMATCHED, RequestMetrics, known_method

__all__ = ["RequestMeter"]

_SIGN_INS: Final = {"/auth/{issuer}/callback": "issuer", "/auth/token": "token"}

_OUTCOMES: Final = {
    HTTPStatus.UNAUTHORIZED: "refused",
    HTTPStatus.TOO_MANY_REQUESTS: "limited",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


class RequestMeter:
    """Counts each request when it is answered; goes before all other middleware."""

    def __init__(self, metrics: RequestMetrics, cookies: CookieJar) -> None:
        self._metrics = metrics
        self._cookies = cookies

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Note when the request began."""
        req.context.metered_at = time.perf_counter()
        self._metrics.begin()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Count the request, unless it was put aside and has no response yet."""
        started: float | None = getattr(req.context, "metered_at", None)
        if started is None:
            # The framework answers what it can't even parse without process_request.
            self._metrics.begin()
        parking = parking_of(req)
        if parking is not None and parking.is_wanted:
            self._metrics.put_aside()
            return
        has_waited = parking is not None and parking.deadline is not None
        kind, outcome = self._authentication(req, resp)
        self._metrics.end(
            (
                req.uri_template or UNMATCHED,
                known_method(req.method),
                str(resp.status_code),
                kind,
                outcome,
            ),
            seconds=None if started is None or has_waited else time.perf_counter() - started,
            request_bytes=_length(req.env.get("CONTENT_LENGTH")),
            response_bytes=0 if req.method == "HEAD" else _size(resp),
        )
        if resp.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            # That of a principal is told in the headers, before it is exceeded.
            is_known = resp.get_header("RateLimit-Limit") is not None
            self._metrics.limited("principal" if is_known else "failures")
        way = _SIGN_INS.get(req.uri_template or "")
        if way is not None:
            self._metrics.signed_in(way, _sign_in_outcome(resp.status_code))

    def _authentication(self, req: falcon.Request, resp: falcon.Response) -> tuple[str, str]:
        """Return what the caller has shown, and what came of it."""
        if not req.path.startswith(PREFIX) or req.method == "OPTIONS":
            return "", ""
        header = req.env.get("HTTP_AUTHORIZATION")
        if header is not None:
            kind = _kind_of(header)
        elif req.env.get("HTTP_COOKIE") and self._cookies.session_of(req) is not None:
            kind = "session"
        else:
            kind = "none"
        if resp.status_code == HTTPStatus.UNAUTHORIZED:
            return kind, "refused"
        if principal_of(req) is not NOBODY:
            return kind, "accepted"
        return kind, _OUTCOMES.get(HTTPStatus(resp.status_code), "refused")


def _kind_of(authorization: str) -> str:
    token = authorization.rpartition(" ")[2]
    if token.startswith(TOKEN_PREFIX):
        return "token"
    return "jwt" if token.count(".") == 2 else "other"  # noqa: PLR2004 - header, claims, signature


def _sign_in_outcome(status: int) -> str:
    if status == HTTPStatus.SEE_OTHER:
        return "accepted"
    return "unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"


def _length(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0


def _size(resp: falcon.Response) -> int:
    data = resp.data
    if data is not None:
        return len(data)
    return len(resp.text.encode()) if resp.text else 0
