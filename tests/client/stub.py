"""A server over real sockets that serves one application, and misbehaves on demand."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message

Behaviour = Callable[["Handler"], None]


class StubServer:
    """Serves ``billing``; what it does to a request can be replaced at any time."""

    def __init__(self) -> None:
        self.configurations: dict[str, Any] = {"database": {"pool_size": 10}}
        self.defaults: dict[str, Any] = {}
        self.version = 1
        self.waits = True
        self.behaviour: Behaviour = serve
        self.connections = 0
        self.bodies: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, Message]] = []
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self._port = 0
        self._http: _Http | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def polls(self) -> int:
        return len(self.requests)

    def start(self) -> None:
        self.stopping.clear()
        self._http = _Http(self, self._port)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Go away as a killed process does: connections and all."""
        self.stopping.set()
        with self.changed:
            self.changed.notify_all()
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http.cut_all()
            self._http = None

    def publish(self, **configurations: Any) -> None:
        """Make these configurations everything there is."""
        with self.changed:
            self.configurations = configurations
            self.version += 1
            self.changed.notify_all()

    def answer(self, behaviour: Behaviour) -> None:
        """Answer from now on with ``behaviour``, also those who wait."""
        with self.changed:
            self.behaviour = behaviour
            self.changed.notify_all()

    def body(self) -> bytes:
        entries = {
            name: {
                "id": "01K9YV5C7W3V0Y1Q3W6M8N2B4D",
                "version": self.version,
                "updated_at": "2026-11-24T08:00:00.000000Z",
                "config": config,
                **({"defaults": self.defaults[name]} if name in self.defaults else {}),
            }
            for name, config in self.configurations.items()
        }
        document = {
            "application_id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E",
            "application": "billing",
            "environment": "default",
            "configurations": entries,
        }
        return json.dumps(document).encode()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, stub: StubServer, port: int) -> None:
        self.stub = stub
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        self.stub.connections += 1
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def cut_all(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = b""

    @property
    def stub(self) -> StubServer:
        assert isinstance(self.server, _Http)
        return self.server.stub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass

    def do_GET(self) -> None:
        self.stub.requests.append((self.command, self.path, self.headers))
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        if self.stub.stopping.is_set():
            self.close_connection = True
            return
        if self.path in self.stub.bodies:
            self.reply(200, self.stub.bodies[self.path])
        else:
            self.stub.behaviour(self)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - as http.server calls them

    def reply(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(handler: Handler) -> None:
    """Answer as the snapshot endpoint does."""
    stub = handler.stub
    asked = handler.headers.get("Prefer", "")
    etag_sent = handler.headers.get("If-None-Match")
    granted = {"Preference-Applied": asked} if asked and stub.waits else {}
    with stub.changed:
        if granted:
            deadline = float(asked.removeprefix("wait="))
            stub.changed.wait_for(
                lambda: (
                    etag_sent != f'"{stub.version}"'
                    or stub.stopping.is_set()
                    or stub.behaviour is not serve
                ),
                deadline,
            )
        etag, body = f'"{stub.version}"', stub.body()
    if stub.stopping.is_set():
        handler.close_connection = True
        return
    if stub.behaviour is not serve:
        stub.behaviour(handler)
        return
    if etag_sent == etag:
        handler.reply(304, headers={"ETag": etag, **granted})
    else:
        handler.reply(200, body, {"ETag": etag, "Content-Type": "application/json", **granted})


def hang(handler: Handler) -> None:
    """Never answer."""
    handler.stub.stopping.wait()
    handler.close_connection = True


def cut_body(handler: Handler) -> None:
    """Promise more than is sent."""
    body = handler.stub.body()
    handler.send_response(200)
    handler.send_header("ETag", '"cut"')
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def drop(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Behaviour:
    """Answer everything with one status."""
    return lambda handler: handler.reply(code, body, headers)


@contextmanager
def stub_server() -> Iterator[StubServer]:
    stub = StubServer()
    try:
        yield stub
    finally:
        stub.stop()


def eventually(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait for a condition that has no event."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
