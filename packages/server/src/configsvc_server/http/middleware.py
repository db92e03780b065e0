"""Middleware: request ids, the access log, ``Allow``, CORS headers."""

import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import falcon
import structlog

from configsvc_server.http.context import (
    REQUEST_ID_HEADER,
    parking_of,
    request_id_of,
    set_request_id,
)
from configsvc_server.http.resources.health import PATHS as HEALTH_PATHS
from configsvc_server.http.resources.metrics import METRICS_PATH
from configsvc_server.telemetry.traces import HANDLED_ERROR

__all__ = [
    "AccessLog",
    "CorsMiddleware",
    "OptionsMiddleware",
    "SecurityHeaders",
    "TracedResponse",
]

_log = structlog.stdlib.get_logger("configsvc.access")

# Of what is no page: nothing in it may run or be framed.
_NO_CONTENT = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

# Probes and scrapes come every few seconds for ever; who does not look for them wants to see them
# only when they fail.
_UNLOGGED = frozenset({*HEALTH_PATHS, METRICS_PATH})

_EXPOSED = ("ETag", "Link", "Location", "Retry-After", REQUEST_ID_HEADER)


class AccessLog:
    """Gives each request an id and writes one line when it is answered."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set the start time and the request id."""
        started = time.perf_counter()
        parking = parking_of(req)
        if parking is not None:
            # Of the first run: the line tells how long the client has waited.
            parking.started = started = parking.started or started
        req.context.started = started
        resp.set_header(REQUEST_ID_HEADER, set_request_id(req))

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Write the line of the access log."""
        parking = parking_of(req)
        if parking is not None and parking.is_wanted:
            return
        # The framework answers a request that it can't even parse without process_request.
        started: float = getattr(req.context, "started", None) or time.perf_counter()
        resp.set_header(REQUEST_ID_HEADER, request_id_of(req))
        status = resp.status_code
        is_routine = status < HTTPStatus.BAD_REQUEST and req.uri_template in _UNLOGGED
        write = _log.debug if is_routine else _log.info
        write(
            "request",
            method=req.method,
            path=req.path,
            route=req.uri_template,
            status=status,
            duration_ms=round((time.perf_counter() - started) * 1000, 2),
        )


class TracedResponse:
    """Shows the tracing what a response is: it knows neither enumerations nor error handlers."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Write the status out, and forget an error that was answered."""
        resp.status = falcon.code_to_http_status(resp.status)
        req.env.pop(HANDLED_ERROR, None)


class OptionsMiddleware:
    """Names ``OPTIONS`` in the ``Allow`` header of its own response, where the framework does not.

    It runs after :class:`CorsMiddleware`, which takes the header for its own.
    """

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add to the header."""
        allowed = resp.get_header("Allow")
        if req.method == "OPTIONS" and allowed and "OPTIONS" not in allowed:
            resp.set_header("Allow", f"{allowed}, OPTIONS")


class SecurityHeaders:
    """Sets the headers that keep browsers from guessing, framing and telling where one was."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add the headers."""
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.set_header("X-Frame-Options", "DENY")
        if resp.get_header("Content-Security-Policy") is None:
            resp.set_header("Content-Security-Policy", _NO_CONTENT)


class CorsMiddleware(falcon.CORSMiddleware[Any, Any]):
    """CORS middleware that exposes the headers of this API and sets ``Vary``."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Allow ``origins``; ``*`` alone allows every one."""
        super().__init__("*" if list(origins) == ["*"] else origins, expose_headers=_EXPOSED)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add the headers."""
        if self.allow_origins != "*":
            resp.append_header("Vary", "Origin")
        super().process_response(req, resp, resource, req_succeeded)
