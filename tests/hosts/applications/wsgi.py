"""WSGI application."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.hosts.applications.reading import answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["application"]


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    # Busy for a moment, so that the next request goes to another worker.
    time.sleep(0.01)
    body = answer().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
