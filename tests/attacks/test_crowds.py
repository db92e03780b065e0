"""Crowds: many connections, or many requests of one kind, leave room for the others."""

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network

import falcon
import pytest

from configsvc_server.http.errors import WsgiApp
from configsvc_server.serving.limits import Limits
from tests.attacks.wire import ask, connect, connections, is_alive, read_answer, wait_for_close
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import until

APPLICATIONS = "/api/v1/applications"


class Gate:
    """Resource that answers when it is released."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.released = threading.Event()
        self.order: list[str] = []

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self.order.append(req.remote_addr)
        self.entered.release()
        self.released.wait(60)
        resp.text = req.remote_addr

    on_post = on_get


class Open:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.text = req.remote_addr

    on_post = on_get


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.released.set()


@pytest.fixture
def app(gate: Gate) -> WsgiApp:
    app: WsgiApp = falcon.App()
    app.add_route("/gate", gate)
    app.add_route("/gate/diff", gate)
    app.add_route("/open", Open())
    app.add_route("/health/live", Open())
    app.add_route("/health/ready", Open())
    return app


def get(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()


def post(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()


def test_connections_without_a_request_make_room_for_new_ones(app: WsgiApp) -> None:
    limits = Limits(max_connections=40)
    with running_server(app, limits=limits) as server, connections(server, 200):
        assert ask(server, get("/open")).status == 200


def test_connections_with_half_a_head_make_room_for_new_ones(app: WsgiApp) -> None:
    limits = Limits(max_connections=40)
    with running_server(app, limits=limits) as server, connections(server, 40) as idle:
        for sock in idle:
            sock.sendall(b"G")
        with connections(server, 40) as more:
            for sock in more:
                sock.sendall(b"G")

            assert ask(server, get("/open")).status == 200


def test_those_who_were_answered_stay_before_those_who_never_asked(app: WsgiApp) -> None:
    limits = Limits(max_connections=40)
    with running_server(app, limits=limits) as server, connect(server) as regular:
        regular.sendall(get("/open"))
        read_answer(regular)
        with connections(server, 200):
            regular.sendall(get("/open"))
            assert read_answer(regular).status == 200


def test_a_peer_makes_room_among_its_own(app: WsgiApp) -> None:
    limits = Limits(max_connections=100, max_connections_per_peer=20)
    with running_server(app, limits=limits) as server, connect_from("127.0.0.2", server) as other:
        other.sendall(get("/open"))
        read_answer(other)
        with connections(server, 100) as crowd:
            other.sendall(get("/open"))
            assert read_answer(other).body == b"127.0.0.2"
            assert sum(_is_closed(sock) for sock in crowd) >= 80


def test_a_trusted_proxy_has_no_cap(app: WsgiApp) -> None:
    limits = Limits(
        max_connections=100,
        max_connections_per_peer=5,
        trusted_proxies=(ip_network("127.0.0.0/8"),),
    )
    with running_server(app, limits=limits) as server, connections(server, 50) as crowd:
        for sock in crowd:
            sock.sendall(get("/open"))

        assert {read_answer(sock).status for sock in crowd} == {200}


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        ("192.0.2.7", b"192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", b"192.0.2.7"),
        ("192.0.2.7, 127.0.0.9", b"192.0.2.7"),
        ("<script>", b"127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(app: WsgiApp, forwarded: str, seen: bytes) -> None:
    limits = Limits(trusted_proxies=(ip_network("127.0.0.0/8"),))
    with running_server(app, limits=limits) as server:
        assert ask(server, get("/open", f"X-Forwarded-For: {forwarded}\r\n")).body == seen


def test_nobody_else_says_who_the_client_is(app: WsgiApp) -> None:
    with running_server(app) as server:
        assert ask(server, get("/open", "X-Forwarded-For: 192.0.2.7\r\n")).body == b"127.0.0.1"


def test_health_is_answered_where_every_connection_is_at_work(app: WsgiApp, gate: Gate) -> None:
    limits = Limits(max_connections=10)
    with running_server(app, threads=10, limits=limits) as server, connections(server, 10) as busy:
        for sock in busy:
            sock.sendall(get("/gate"))
            assert gate.entered.acquire(timeout=30)

        assert is_alive(server)
        assert ask(server, get("/health/ready")).status == 200
        refused = ask(server, get("/open"))
        assert refused.status == 503
        assert refused.headers["retry-after"]


def test_busy_reads_leave_writes_and_health_alone(app: WsgiApp, gate: Gate) -> None:
    with running_server(app, threads=2) as server, connections(server, 10) as busy:
        _occupy(busy, get("/gate"), gate, 2)

        assert ask(server, post("/open")).status == 200
        assert ask(server, get("/health/ready")).status == 200
        assert is_alive(server)


def test_busy_writes_leave_reads_and_health_alone(app: WsgiApp, gate: Gate) -> None:
    with running_server(app, threads=2) as server, connections(server, 10) as busy:
        _occupy(busy, post("/gate"), gate, 2)

        assert ask(server, get("/open")).status == 200
        assert ask(server, get("/health/ready")).status == 200
        assert is_alive(server)


def test_what_takes_long_to_compute_leaves_the_rest_alone(app: WsgiApp, gate: Gate) -> None:
    with running_server(app, threads=2) as server, connections(server, 20) as busy:
        _occupy(busy, get("/gate/diff"), gate, 2)

        assert ask(server, get("/open")).status == 200
        assert ask(server, post("/open")).status == 200
        assert is_alive(server)
        # Not more of them at a time, whatever the number of threads for others.
        assert not gate.entered.acquire(blocking=False)


def test_a_large_body_counts_as_what_takes_long(app: WsgiApp, gate: Gate) -> None:
    large = b"POST /gate HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000
    with running_server(app, threads=2) as server, connections(server, 5) as busy:
        _occupy(busy, large, gate, 2)

        assert ask(server, post("/open")).status == 200


def test_a_shed_head_leaves_the_connection_as_it_was(app: WsgiApp, gate: Gate) -> None:
    limits = Limits(queue_timeout=0.2)
    with running_server(app, threads=1, limits=limits) as server, connect(server) as busy:
        busy.sendall(get("/gate"))
        assert gate.entered.acquire(timeout=30)
        with connect(server) as waiting:
            waiting.sendall(b"HEAD /open HTTP/1.1\r\nHost: x\r\n\r\n")
            head = bytearray()
            while not head.endswith(b"\r\n\r\n"):
                head += waiting.recv(1)
            gate.released.set()
            waiting.sendall(get("/open"))

            assert b" 503 " in head
            assert read_answer(waiting).body == b"127.0.0.1"


def test_a_request_for_which_no_thread_becomes_free_is_told_so(app: WsgiApp, gate: Gate) -> None:
    limits = Limits(queue_timeout=0.2)
    with running_server(app, threads=1, limits=limits) as server, connect(server) as busy:
        busy.sendall(get("/gate"))
        assert gate.entered.acquire(timeout=30)
        with connect(server) as waiting:
            waiting.sendall(get("/open"))
            refused = read_answer(waiting)
            gate.released.set()
            waiting.sendall(get("/open"))

            assert refused.status == 503
            assert refused.headers["retry-after"] == "2"
            # The request was read to its end, so the connection is as good as new.
            assert read_answer(waiting).status == 200


def test_peers_take_turns(app: WsgiApp, gate: Gate) -> None:
    with running_server(app, threads=1) as server, connections(server, 20) as crowd:
        _occupy(crowd, get("/gate"), gate, 1)
        with connect_from("127.0.0.2", server) as other:
            other.sendall(get("/gate"))
            until(lambda: server.server._lanes._reads._queued >= 20)
            gate.released.set()
            read_answer(other)

    # One of the crowd was being served, and the turn of another came first.
    assert gate.order.index("127.0.0.2") <= 2


def test_a_wait_ends_when_a_request_is_sent_behind_it(live_server: RunningServer) -> None:
    with connect(live_server) as sock:
        body = b'{"name": "billing"}'
        sock.sendall(
            b"POST /api/v1/applications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert read_answer(sock).status == 201
        path = f"{APPLICATIONS}/billing/environments/default/snapshot"
        sock.sendall(get(path))
        etag = read_answer(sock).headers["etag"]

        sock.sendall(get(path, f"If-None-Match: {etag}\r\nPrefer: wait=60\r\n"))
        sock.sendall(get("/health/live"))

        assert read_answer(sock).status == 304
        assert read_answer(sock).status == 200


def connect_from(address: str, server: RunningServer) -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", server.server.port), timeout=30, source_address=(address, 0)
    )


def _occupy(socks: list[socket.socket], sent: bytes, gate: Gate, threads: int) -> None:
    for sock in socks:
        sock.sendall(sent)
    for _ in range(threads):
        assert gate.entered.acquire(timeout=30)


def _is_closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return wait_for_close(sock) == b""
    except BlockingIOError:
        return False
