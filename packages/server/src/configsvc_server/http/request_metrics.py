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

# Members of an enumeration take longer to find than all that is done with them here.
_UNAUTHORIZED: Final = int(HTTPStatus.UNAUTHORIZED)
_TOO_MANY: Final = int(HTTPStatus.TOO_MANY_REQUESTS)
_UNAVAILABLE: Final = int(HTTPStatus.SERVICE_UNAVAILABLE)
_TEXTS: Final = {int(status): str(int(status)) for status in HTTPStatus}
_OUTCOMES: Final = {_TOO_MANY: "limited", _UNAVAILABLE: "unavailable"}


class RequestMeter:
    """Counts each request when it is answered; goes before all other middleware."""

    def __init__(self, metrics: RequestMetrics, cookies: CookieJar) -> None:
        self._metrics = metrics
        self._cookies = cookies

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Note when the request began."""
        req.context.metered_at = time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Count the request, unless it was put aside and has no response yet."""
        parking = parking_of(req)
        if parking is not None and parking.is_wanted:
            return
        # The framework answers what it can't even parse without process_request.
        started: float | None = getattr(req.context, "metered_at", None)
        has_waited = parking is not None and parking.deadline is not None
        status = resp.status_code
        route, method = req.uri_template, req.method
        data = resp.data
        length = req.env.get("CONTENT_LENGTH")
        self._metrics.count(
            (
                route or UNMATCHED,
                known_method(method),
                _TEXTS.get(status) or str(status),
                *self._authentication(req, status),
            ),
            seconds=None if started is None or has_waited else time.perf_counter() - started,
            request_bytes=int(length) if length and length.isdecimal() else 0,
            response_bytes=0 if method == "HEAD" else _size(resp) if data is None else len(data),
        )
        if status == _TOO_MANY:
            # That of a principal is told in the headers, before it is exceeded.
            is_known = resp.get_header("RateLimit-Limit") is not None
            self._metrics.limited("principal" if is_known else "failures")
        if route in _SIGN_INS:
            self._metrics.signed_in(_SIGN_INS[route], _sign_in_outcome(status))

    def _authentication(self, req: falcon.Request, status: int) -> tuple[str, str]:
        """Return what the caller has shown, and what came of it."""
        if not req.path.startswith(PREFIX) or req.method == "OPTIONS":
            return "", ""
        header = req.env.get("HTTP_AUTHORIZATION")
        if header is not None:
            kind = _kind_of(header)
        elif "HTTP_COOKIE" in req.env and self._cookies.session_of(req) is not None:
            kind = "session"
        else:
            kind = "none"
        if status == _UNAUTHORIZED:
            return kind, "refused"
        if principal_of(req) is not NOBODY:
            return kind, "accepted"
        return kind, _OUTCOMES.get(status, "refused")


def _kind_of(authorization: str) -> str:
    token = authorization.rpartition(" ")[2]
    if token.startswith(TOKEN_PREFIX):
        return "token"
    return "jwt" if token.count(".") == 2 else "other"  # noqa: PLR2004 - header, claims, signature


def _sign_in_outcome(status: int) -> str:
    if status == HTTPStatus.SEE_OTHER:
        return "accepted"
    return "unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"


def _size(resp: falcon.Response) -> int:
    return len(resp.text.encode()) if resp.text else 0
