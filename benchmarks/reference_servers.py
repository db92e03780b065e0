"""Servers that do nothing but answer, to compare ours with; ``http_load.py`` runs them.

    python benchmarks/reference_servers.py falcon --body FILE

``waitress`` is a plain WSGI callable and ``falcon`` a Falcon application with one resource;
both answer with the bytes of a file, on waitress with the settings that ours has.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import falcon
from waitress.server import create_server

PATH: Final = "/configuration"

_CONNECTION_LIMIT = 2000


def plain_app(body: bytes) -> WSGIApplication:
    """Return the least that can answer."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]

    def app(_environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [body]

    return app


class _Resource:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = self._body


def falcon_app(body: bytes) -> WSGIApplication:
    """Return a Falcon application without middleware."""
    app = falcon.App()
    app.add_route(PATH, _Resource(body))
    return app


APPS: Final = {"waitress": plain_app, "falcon": falcon_app}


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Serve one fixed answer.")
    parser.add_argument("app", choices=sorted(APPS))
    parser.add_argument("--body", type=Path, required=True, help="file with what to answer")
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    # The stubs know nothing of the port.
    server: Any = create_server(
        APPS[options.app](options.body.read_bytes()),
        host="127.0.0.1",
        port=0,
        threads=options.threads,
        connection_limit=_CONNECTION_LIMIT,
        asyncore_use_poll=True,
        ident="reference",
    )
    print(f"{options.app} answers at http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
