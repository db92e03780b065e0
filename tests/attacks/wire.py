"""Raw connections, for what no client library would send."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.servers import RunningServer

TIMEOUT = 30.0
"""Seconds after which a test has failed; nothing here is expected to take long."""


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server.port), timeout=TIMEOUT)


@contextmanager
def connections(server: RunningServer, count: int) -> Iterator[list[socket.socket]]:
    """Open connections while the block runs."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(server)) for _ in range(count)]


def read_answer(sock: socket.socket) -> Answer:
    """Read one response of known length."""
    head = bytearray()
    # Byte by byte: what comes after it belongs to the next one.
    while not head.endswith(b"\r\n\r\n"):
        head += _receive(sock, 1)
    status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = 0 if " 304 " in status_line else int(headers.get("content-length", 0))
    body = bytearray()
    while len(body) < length:
        body += _receive(sock, length - len(body))
    return Answer(int(status_line.split()[1]), headers, bytes(body))


def _receive(sock: socket.socket, size: int) -> bytes:
    received = sock.recv(size)
    if not received:
        raise EOFError
    return received


def ask(server: RunningServer, sent: bytes) -> Answer:
    """Send bytes over a connection of their own, and read the response."""
    with connect(server) as sock:
        sock.sendall(sent)
        return read_answer(sock)


def is_alive(server: RunningServer) -> bool:
    """Return whether the server answers that it is alive."""
    return ask(server, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def wait_for_close(sock: socket.socket) -> bytes:
    """Read until the server closes the connection, and return what it sent."""
    data = b""
    while True:
        try:
            received = sock.recv(65536)
        except ConnectionError:
            return data
        if not received:
            return data
        data += received
