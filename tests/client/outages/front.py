"""A TCP relay before the stub, for what happens below HTTP."""

import contextlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable

from tests.client.stub import StubServer

Break = Callable[[socket.socket], None]


class Front:
    """Passes bytes on, unless it is told what to do with each connection instead."""

    def __init__(self, stub: StubServer, context: ssl.SSLContext | None = None) -> None:
        self._stub = stub
        self.context = context
        self._open: set[socket.socket] = set()
        self._break: Break | None = None
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start()

    def break_down(self, with_each: Break) -> None:
        """End all connections, and deal with the next ones like this."""
        self._break = with_each
        self.end_connections()

    def refuse(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.end_connections()

    def mend(self) -> None:
        """Pass bytes on again."""
        self._break = None
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._start()
        self.end_connections()

    def close(self) -> None:
        self.refuse()

    def end_connections(self) -> None:
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _start(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=self._deal_with, args=(sock,), daemon=True).start()

    def _deal_with(self, sock: socket.socket) -> None:
        self._open.add(sock)
        try:
            with sock, contextlib.suppress(OSError):
                if self._break is not None:
                    self._break(sock)
                elif self.context is not None:
                    with self.context.wrap_socket(sock, server_side=True) as secured:
                        self._open.add(secured)
                        self._relay(secured)
                        self._open.discard(secured)
                else:
                    self._relay(sock)
        finally:
            self._open.discard(sock)

    def _relay(self, client: socket.socket) -> None:
        port = int(self._stub.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as server:
            self._open.add(server)
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join()
            self._open.discard(server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for sock in (source, target):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def reset(sock: socket.socket) -> None:
    """End the connection by RST."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer_with(data: bytes) -> Break:
    """Answer each connection with some bytes, and end it."""

    def answer(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(data)

    return answer


def answer_endlessly(head: bytes, rest: bytes, pause: threading.Event | None = None) -> Break:
    """Answer with a head, and then with the same bytes until the client has enough.

    Args:
        head: what comes first.
        rest: what comes again and again.
        pause: waited for, for a moment each time, so that the bytes drip.
    """

    def answer(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(head)
        while True:
            sock.sendall(rest)
            if pause is not None and pause.wait(0.02):
                return

    return answer


class FrozenServer:
    """A process that accepts connections, and is stopped by SIGSTOP."""

    _SCRIPT = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); s.accept()"
    )

    def __enter__(self) -> int:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._SCRIPT], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        os.kill(self._process.pid, signal.SIGSTOP)
        return port

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()
