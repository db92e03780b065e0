"""Close: prompt whatever hangs, and nothing is left open."""

import gc
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from configsvc_client import ClosedError, ConfigClient, ConfigView
from tests.client.conftest import MakeClient
from tests.client.http.test_bounds import BODY, dripping
from tests.client.stub import StubServer, eventually, hang, status


class Call(threading.Thread):
    """A request in a thread of its own, and what became of it."""

    def __init__(self, client: ConfigClient) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.client.applications.get("billing")
        except BaseException as error:  # noqa: BLE001 - that of another thread
            self.error = error

    def ended(self, within: float = 5) -> bool:
        self.join(within)
        return not self.is_alive()


@contextmanager
def silent_server(backlog: int = 8) -> Iterator[tuple[socket.socket, str]]:
    """A socket that accepts nothing and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(backlog)
        yield listening, f"127.0.0.1:{listening.getsockname()[1]}"


def close_ends(client: ConfigClient, has_begun: Callable[[], object]) -> None:
    call = Call(client)
    eventually(has_begun)
    client.close()
    assert call.ended()
    assert isinstance(call.error, ClosedError)


@pytest.mark.parametrize(
    "behaviour", [hang, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]
)
def test_close_ends_a_wait_for_an_answer(stub: StubServer, behaviour: Callable[..., None]) -> None:
    stub.answer(behaviour)
    close_ends(ConfigClient(stub.url, timeout=60), lambda: stub.requests)


@pytest.mark.parametrize("end", [lambda client, _: client.close(), lambda _, view: view.close()])
def test_close_ends_the_waits_of_readers_for_a_first_snapshot(
    stub: StubServer, end: Callable[[ConfigClient, ConfigView], None]
) -> None:
    stub.answer(hang)
    client = ConfigClient(stub.url, timeout=60, start_timeout=60)
    view = client.application("billing")
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(call) for call in (lambda: view["database"], view.snapshot)]
        eventually(lambda: stub.requests)
        end(client, view)
        assert isinstance(calls[0].exception(timeout=20), ClosedError)
        assert isinstance(calls[1].exception(timeout=20), ClosedError)
    client.close()


def test_close_ends_a_sleep_before_a_retry(stub: StubServer) -> None:
    stub.answer(status(503, {"Retry-After": "14"}))
    close_ends(ConfigClient(stub.url), lambda: stub.requests)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_close_ends_a_connection_that_is_being_made() -> None:
    with silent_server(backlog=0) as (listening, address):
        host, port = listening.getsockname()
        # With the queue full, Linux leaves later connections unanswered.
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect((host, port))
        client = ConfigClient(f"http://{address}", timeout=60, total_timeout=60)
        sockets = client._transport._sockets  # type: ignore[attr-defined]
        close_ends(client, lambda: any(_is_connecting(sock) for sock in list(sockets._open)))
        for filler in fillers:
            filler.close()


def _is_connecting(sock: socket.socket) -> bool:
    """Return whether a socket waits for the other side (SYN_SENT)."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 2


def test_close_ends_a_tls_handshake() -> None:
    with silent_server() as (listening, address):
        client = ConfigClient(f"https://{address}", timeout=60, total_timeout=60)
        accepted: list[socket.socket] = []

        def has_said_hello() -> bool:
            if not accepted:
                listening.settimeout(20)
                accepted.append(listening.accept()[0])
                accepted[0].settimeout(20)
            return bool(accepted[0].recv(1))

        close_ends(client, has_said_hello)
        accepted[0].close()


@pytest.mark.parametrize("url", ["https://config.internal", "http://config.internal"])
def test_close_ends_a_wait_for_a_proxy(url: str) -> None:
    with silent_server() as (listening, address):
        proxies = {"http": f"http://{address}", "https": f"http://{address}"}
        client = ConfigClient(url, proxies=proxies, timeout=60, total_timeout=60)
        accepted: list[socket.socket] = []

        def has_asked() -> bool:
            if not accepted:
                listening.settimeout(20)
                accepted.append(listening.accept()[0])
                accepted[0].settimeout(20)
            return bool(accepted[0].recv(1))

        close_ends(client, has_asked)
        accepted[0].close()


def test_close_does_not_wait_for_a_token_function_which_sends_nothing_afterwards(
    stub: StubServer,
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def token() -> str:
        asked.set()
        answer.wait(20)
        return "t1"

    client = ConfigClient(stub.url, token=token)
    call = Call(client)
    assert asked.wait(20)
    client.close()
    assert not answer.is_set()
    answer.set()
    assert call.ended()
    assert isinstance(call.error, ClosedError)
    assert not stub.requests


def test_close_does_not_wait_for_a_name_that_is_being_resolved(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def slow(*args: object, **kwargs: object) -> object:
        asked.set()
        answer.wait(20)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = ConfigClient(stub.url)
    call = Call(client)
    assert asked.wait(20)
    client.close()
    assert not answer.is_set()
    answer.set()
    assert call.ended()
    assert isinstance(call.error, ClosedError)
    assert not stub.requests


def test_threads_that_ended_leave_no_sockets(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(status(200, body=BODY))
    client = make_client(stub.url)
    gc.disable()
    try:
        for _ in range(20):
            call = Call(client)
            assert call.ended(20)
            assert call.error is None
        opened = client._transport._sockets._open  # type: ignore[attr-defined]
        assert not [sock for sock in list(opened) if sock.fileno() >= 0]
    finally:
        gc.enable()


def test_a_dropped_transport_leaves_no_sockets(stub: StubServer) -> None:
    stub.answer(status(200, body=BODY))
    client = ConfigClient(stub.url)
    client.applications.get("billing")
    transport = client._transport
    (sock,) = list(transport._sockets._open)  # type: ignore[attr-defined]
    client.close()
    del client, transport
    gc.collect()
    assert sock.fileno() == -1
