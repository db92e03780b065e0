"""Tasks: one request with the application, or with the problem document of a refused one.

HTTP/1.1 keeps the connection open after a response without a body (204, 304). waitress closes
it after each of them, and a client that polls with If-None-Match would connect every time.
"""

from typing import Any, Final

import structlog
from waitress.task import ErrorTask, WSGITask

from configsvc_server.domain.identifiers import new_request_id
from configsvc_server.http.conditional import MAY_WAIT
from configsvc_server.http.context import IS_FORWARDED, PARKING, REQUEST_ID_HEADER
from configsvc_server.http.peers import client_address
from configsvc_server.http.problems import PROBLEM_JSON, problem_body
from configsvc_server.telemetry.requests import known_method

__all__ = ["ApplicationTask", "RefusalTask"]

# Whoever sends one of these has come through a proxy.
_FORWARDING: Final = frozenset(
    {"FORWARDED", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REAL_IP", "VIA"}
)

_access_log = structlog.stdlib.get_logger("configsvc.access")


class RefusalTask(ErrorTask):
    """Task that responds to a request which does not reach the application."""

    # The stubs call everything that can be written to a channel an Error.
    request: Any
    response_headers: list[tuple[str, str]]

    def execute(self) -> None:
        """Write a line of the access log, and the problem document."""
        request = self.request
        refusal = request.error
        request_id = new_request_id()
        path = getattr(request, "path", None)
        body = problem_body(
            status=refusal.code,
            detail=str(refusal.body),
            request_id=request_id,
            instance=path,
            errors=refusal.errors,
            location=refusal.location,
            extensions=None if refusal.limit is None else {"limit": refusal.limit},
        )
        self.status = f"{refusal.code} {refusal.reason}"
        self.response_headers += [
            ("Content-Type", PROBLEM_JSON),
            ("Cache-Control", "no-store"),
            (REQUEST_ID_HEADER, request_id),
        ]
        if refusal.retry_after is not None:
            self.response_headers.append(("Retry-After", str(refusal.retry_after)))
        if not refusal.keeps_connection:
            self.set_close_on_finish()
        self.content_length = len(body)
        _access_log.info(
            "request refused",
            method=getattr(request, "command", None),
            path=path,
            status=refusal.code,
            detail=refusal.body,
            request_id=request_id,
            peer=self.channel.addr[0],
        )
        channel: Any = self.channel
        channel.server.connections.refused[
            known_method(getattr(request, "command", None)), str(refusal.code)
        ] += 1
        # What followed the head of a response to HEAD would be taken for the next response.
        self.write(b"" if getattr(request, "command", None) == "HEAD" else body)


class ApplicationTask(WSGITask):
    """Task that runs the application and keeps the connection open without a body, too."""

    _keeps_open = False

    def finish(self) -> None:
        """Send what is left of the response, unless the request is put aside and has none yet."""
        channel: Any = self.channel
        if channel.parking is None or not channel.parking.is_wanted:
            super().finish()

    def build_response_header(self) -> bytes:
        """Return the head of the response."""
        request: Any = self.request
        options = request.headers.get("CONNECTION", "").lower().split(",")
        wants_close = "close" in (option.strip() for option in options)
        self._keeps_open = self.version == "1.1" and not self.has_body and not wants_close
        try:
            return bytes(super().build_response_header())
        finally:
            self._keeps_open = False

    def write(self, data: bytes) -> None:
        """Send head and body together if ``data`` is the whole body.

        waitress sends each of them by a system call of its own, and every system call makes
        the thread wait for the interpreter's lock again.
        """
        if self.wrote_header or not self.has_body or not data or self.content_length != len(data):
            super().write(data)
            return
        channel: Any = self.channel
        channel.write_all(self.build_response_header(), data)
        self.wrote_header = True
        self.content_bytes_written = len(data)

    def set_close_on_finish(self) -> None:
        """Close the connection after the response, unless it has no body and may stay."""
        if not self._keeps_open:
            super().set_close_on_finish()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, with the address of the client behind trusted proxies."""
        environ: dict[str, Any] = super().get_environment()
        channel: Any = self.channel
        request: Any = self.request
        environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = client_address(
            channel.addr[0], request.headers, channel.limits.trusted_proxies
        )
        environ[MAY_WAIT] = channel.parking is not None
        environ[PARKING] = channel.parking
        # Some of these are taken out before the application sees them.
        environ[IS_FORWARDED] = not _FORWARDING.isdisjoint(request.headers)
        # A file would be read by the thread that owns the sockets.
        del environ["wsgi.file_wrapper"]
        return environ
