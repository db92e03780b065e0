"""HTTP server on a real port: keep-alive, parse errors, and shutdown."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import falcon
import pytest
import requests

from configsvc_server.http.errors import WsgiApp
from tests.support.servers import RunningServer, running_server

APPLICATIONS = "/api/v1/applications"


@contextmanager
def connection(server: RunningServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.server.port), timeout=10) as sock:
        yield sock


def read_response(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one response of known length from a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = sock.recv(65536)
        if not received:
            raise EOFError(data)
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers.get("content-length", 0)):
        body += sock.recv(65536)
    return int(status_line.split()[1]), headers, body


def request(path: str, *, method: str = "GET", headers: str = "", body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_one_connection_serves_answers_with_and_without_a_body(live_server: RunningServer) -> None:
    with connection(live_server) as sock:
        create = request(
            APPLICATIONS,
            method="POST",
            headers="Content-Type: application/json\r\n",
            body=b'{"name": "billing"}',
        )
        sock.sendall(create)
        status, headers, _ = read_response(sock)
        assert status == 201

        condition = f"If-None-Match: {headers['etag']}\r\n"
        sock.sendall(request(f"{APPLICATIONS}/billing", headers=condition))
        status, headers, _ = read_response(sock)
        assert status == 304
        assert "connection" not in headers

        sock.sendall(request(f"{APPLICATIONS}/billing", method="DELETE"))
        status, headers, _ = read_response(sock)
        assert status == 204
        assert "connection" not in headers

        sock.sendall(request(f"{APPLICATIONS}/billing"))
        assert read_response(sock)[0] == 404


def test_a_client_that_asks_to_close_is_closed(live_server: RunningServer) -> None:
    with connection(live_server) as sock:
        sock.sendall(request("/health/live", headers="Connection: close\r\n"))
        _, headers, _ = read_response(sock)

        assert headers["connection"] == "close"
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ],
    ids=["header", "length", "encoding", "large header", "large body"],
)
def test_a_request_that_cannot_be_parsed_gets_a_problem(
    live_server: RunningServer, sent: bytes, status: int
) -> None:
    with connection(live_server) as sock:
        sock.sendall(sent)
        answered, headers, body = read_response(sock)

    assert answered == status
    assert headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(body)
    assert document["status"] == status
    assert document["request_id"].lower() == headers["x-request-id"]


def test_a_body_over_the_limit_is_answered_and_the_connection_goes_on(
    live_server: RunningServer,
) -> None:
    with requests.Session() as session:
        refused = session.post(
            live_server.url + APPLICATIONS,
            data=b" " * 2 * 1024 * 1024,
            headers={"Content-Type": "application/json"},
            timeout=10,
        )
        accepted = session.post(
            live_server.url + APPLICATIONS, json={"name": "billing"}, timeout=10
        )

    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    assert accepted.status_code == 201


def test_a_chunked_body_is_read(live_server: RunningServer) -> None:
    chunks = iter([b'{"name": ', b'"billing"}'])

    answer = requests.post(
        live_server.url + APPLICATIONS,
        data=chunks,
        headers={"Content-Type": "application/json"},
        timeout=10,
    )

    assert answer.status_code == 201


class Gate:
    """Resource that responds when it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        self.entered.set()
        self.released.wait(10)
        resp.text = "x" * 1_000_000


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gated(gate: Gate) -> WsgiApp:
    app: WsgiApp = falcon.App()
    app.add_route("/gate", gate)
    return app


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_it_listens_on_every_address_of_a_host_and_stops(host: str, gated: WsgiApp) -> None:
    with running_server(gated, host=host) as server:
        assert requests.get(f"{server.url}/nope", timeout=10).status_code == 404


def test_a_second_stop_does_nothing(gated: WsgiApp) -> None:
    with running_server(gated) as server:
        server.stop()
        server.stop()


def test_a_stop_lets_a_running_request_finish(gate: Gate, gated: WsgiApp) -> None:
    with running_server(gated) as server, connection(server) as sock:
        sock.sendall(request("/gate"))
        assert gate.entered.wait(10)

        server.server.stop()
        wait_until_refused(server)
        gate.released.set()
        status, _, body = read_response(sock)

        assert status == 200
        assert len(body) == 1_000_000


def test_a_stop_closes_idle_connections_at_once(gate: Gate, gated: WsgiApp) -> None:
    with running_server(gated, shutdown_timeout=60) as server, connection(server) as sock:
        sock.sendall(request("/nope"))
        assert read_response(sock)[0] == 404

        server.stop()

        assert sock.recv(1) == b""


def test_a_stop_does_not_wait_for_ever(gate: Gate, gated: WsgiApp) -> None:
    with running_server(gated, shutdown_timeout=0.1) as server, connection(server) as sock:
        sock.sendall(request("/gate"))
        assert gate.entered.wait(10)

        server.stop()  # asserts that the thread ends

        assert sock.recv(1) == b""
        gate.released.set()


def wait_until_refused(server: RunningServer) -> None:
    """Connect until nobody listens any more."""
    port = server.server.port
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            return
