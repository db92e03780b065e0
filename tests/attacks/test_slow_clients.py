"""Slow clients: no thread waits for one, and what is held for one is bounded."""

import json
import socket
import threading
from collections.abc import Iterator

import falcon
import pytest

from configsvc_server.http.errors import WsgiApp
from configsvc_server.serving.limits import Limits
from tests.attacks.wire import ask, connect, connections, is_alive, read_answer, wait_for_close
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import until

LARGE = 8 * 1024 * 1024
BIG = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


class Big:
    """Resource with a large answer, of its own for each request or shared by all."""

    def __init__(self) -> None:
        self.shared = b"x" * LARGE
        self.served = threading.Semaphore(0)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = self.shared if req.get_param("shared") else bytes(bytearray(LARGE))
        self.served.release()


class Small:
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.text = "small"

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.text = str(len(req.bounded_stream.read()))


@pytest.fixture
def big() -> Big:
    return Big()


@pytest.fixture
def app(big: Big) -> WsgiApp:
    app: WsgiApp = falcon.App()
    app.add_route("/big", big)
    app.add_route("/small", Small())
    app.add_route("/health/live", Small())
    return app


@pytest.fixture
def server(app: WsgiApp) -> Iterator[RunningServer]:
    """A server with one thread for reads, which a single reader could hold."""
    with running_server(app, threads=1) as server:
        yield server


def test_readers_that_do_not_read_hold_no_thread(server: RunningServer, big: Big) -> None:
    with connections(server, 20) as readers:
        for reader in readers:
            reader.sendall(BIG)
        for _ in readers:
            assert big.served.acquire(timeout=30)

        assert ask(server, SMALL).body == b"small"
        assert is_alive(server)


def test_a_reader_that_pipelines_gets_one_answer_at_a_time(server: RunningServer, big: Big) -> None:
    with connect(server) as reader:
        reader.sendall(BIG * 50)
        assert big.served.acquire(timeout=30)

        # What waits behind an answer that is not taken is not served: here is another's.
        assert ask(server, SMALL).body == b"small"
        assert not big.served.acquire(blocking=False)

        assert read_answer(reader).status == 200
        assert big.served.acquire(timeout=30)


def test_a_reader_that_takes_nothing_is_cut(app: WsgiApp, big: Big) -> None:
    limits = Limits(stall_timeout=0.2)
    with running_server(app, limits=limits) as server, connect(server) as reader:
        reader.sendall(BIG)
        assert big.served.acquire(timeout=30)
        until(lambda: not len(server.server._connections))

        assert len(wait_for_close(reader)) < LARGE


def test_a_slow_reader_gets_all_of_it(app: WsgiApp) -> None:
    with running_server(app) as server, connect(server) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader.sendall(BIG)

        assert len(read_answer(reader).body) == LARGE


def test_answers_that_nobody_takes_are_bounded_in_all(app: WsgiApp, big: Big) -> None:
    limits = Limits(max_buffered_bytes=3 * LARGE)
    with running_server(app, limits=limits) as server, connections(server, 10) as readers:
        for reader in readers:
            reader.sendall(BIG)
            assert big.served.acquire(timeout=30)
        complete = [len(wait_for_close(reader)) for reader in readers[:5]]

    # The first to be cut are those who have taken nothing for the longest.
    assert max(complete) < LARGE


def test_an_answer_that_many_share_is_held_once(app: WsgiApp, big: Big) -> None:
    limits = Limits(max_buffered_bytes=2 * LARGE)
    shared = BIG.replace(b"/big", b"/big?shared=1")
    with running_server(app, limits=limits) as server, connections(server, 10) as readers:
        for reader in readers:
            reader.sendall(shared)
            assert big.served.acquire(timeout=30)

        assert [len(read_answer(reader).body) for reader in readers] == [LARGE] * 10


def test_bodies_that_are_not_sent_to_their_end_are_bounded_in_all(app: WsgiApp) -> None:
    limits = Limits(max_buffered_bytes=4 * 1024 * 1024)
    part = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 900_000
    with running_server(app, limits=limits) as server, connections(server, 10) as senders:
        for sender in senders:
            sender.sendall(part)
        cut = wait_for_close(senders[0])

        assert cut == b""
        assert ask(server, part + b"x" * 100_000).body == b"1000000"


@pytest.mark.parametrize(
    ("sent", "what"),
    [(b"GET / HT", "head"), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", "body")],
    ids=["head", "body"],
)
def test_a_request_that_does_not_arrive_in_time_is_told_so(
    app: WsgiApp, sent: bytes, what: str
) -> None:
    limits = Limits(head_timeout=0.2, body_timeout=0.2)
    with running_server(app, limits=limits) as server, connect(server) as sock:
        sock.sendall(sent)
        answer = read_answer(sock)
        rest = wait_for_close(sock)

    assert answer.status == 408
    assert what in json.loads(answer.body)["detail"]
    assert rest == b""


def test_a_connection_without_a_request_is_closed_in_time(app: WsgiApp) -> None:
    limits = Limits(idle_timeout=0.2)
    with running_server(app, limits=limits) as server, connect(server) as sock:
        assert wait_for_close(sock) == b""


def test_a_refused_client_that_goes_on_sending_still_gets_the_answer(app: WsgiApp) -> None:
    with running_server(app) as server, connect(server) as sock:
        sock.sendall(b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        sock.sendall(b"x" * 4_000_000)

        assert read_answer(sock).status == 413


def test_a_body_over_the_limit_is_not_kept_and_the_connection_goes_on(app: WsgiApp) -> None:
    with running_server(app) as server, connect(server) as sock:
        head = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n"
        sock.sendall(head + b"x" * 4_000_000)
        kept = read_answer(sock).body
        sock.sendall(SMALL)

        assert kept == b"0"
        assert read_answer(sock).body == b"small"


def test_a_client_that_expects_to_be_told_to_go_on_is_told_before_it_sends(app: WsgiApp) -> None:
    with running_server(app) as server, connect(server) as sock:
        head = (
            b"POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        )
        sock.sendall(head % 3)
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abc")
        assert read_answer(sock).body == b"3"
        sock.sendall(head % 4_000_000)
        assert read_answer(sock).status == 413


def test_a_request_that_is_half_sent_does_not_keep_the_server_from_stopping(app: WsgiApp) -> None:
    half = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
    with running_server(app, shutdown_timeout=100) as server, connections(server, 2) as socks:
        socks[0].sendall(half)
        socks[1].sendall(b"GET / HT")
        until(lambda: len(server.server._connections) == 2)

        # It fails after a tenth of the time that running requests have.
        server.stop()

        assert [wait_for_close(sock) for sock in socks] == [b"", b""]
