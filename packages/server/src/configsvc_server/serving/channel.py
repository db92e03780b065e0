"""Waitress channel: problem documents for parse errors, keep-alive for bodiless responses.

HTTP/1.1 keeps the connection open after a response without a body (204, 304). waitress closes
it after each of them, and a client that polls with If-None-Match would connect every time.
"""

from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from configsvc_server.domain.identifiers import new_request_id
from configsvc_server.http.context import REQUEST_ID_HEADER
from configsvc_server.http.problems import PROBLEM_JSON, problem_body

__all__ = ["ApiChannel"]


class _ProblemTask(ErrorTask):
    """Task that responds to a request that can't be parsed or is too large to be read."""

    def execute(self) -> None:
        # The stubs call everything that can be written to a channel an Error.
        request: Any = self.request
        error = request.error
        request_id = new_request_id()
        body = problem_body(status=error.code, detail=str(error.body), request_id=request_id)
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [
            *self.response_headers,
            ("Content-Type", PROBLEM_JSON),
            (REQUEST_ID_HEADER, request_id),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _KeepAliveTask(WSGITask):
    """Task that runs the application and keeps the connection open without a body, too."""

    _keep_alive = False

    def build_response_header(self) -> bytes:
        request: Any = self.request
        options = request.headers.get("CONNECTION", "").lower().split(",")
        wants_close = "close" in (option.strip() for option in options)
        self._keep_alive = self.version == "1.1" and not self.has_body and not wants_close
        try:
            return bytes(super().build_response_header())
        finally:
            self._keep_alive = False

    def write(self, data: bytes) -> None:
        """Send head and body together if ``data`` is the whole body.

        waitress sends each of them by a system call of its own, and every system call makes
        the thread wait for the interpreter's lock again.
        """
        if self.wrote_header or not self.has_body or not data or self.content_length != len(data):
            super().write(data)
            return
        channel: Any = self.channel
        channel.write_soon(self.build_response_header() + data)
        self.wrote_header = True
        self.content_bytes_written = len(data)

    def set_close_on_finish(self) -> None:
        if not self._keep_alive:
            super().set_close_on_finish()


class ApiChannel(HTTPChannel):
    """Waitress channel with the tasks of this module."""

    task_class = _KeepAliveTask

    error_task_class = _ProblemTask
