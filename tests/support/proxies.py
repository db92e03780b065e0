"""A TCP proxy before PostgreSQL that can fall silent, as a broken network does."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_BLOCK = 65536


class SilentProxy:
    """Passes bytes on until it falls silent: then it takes them and passes nothing on.

    Connections stay open meanwhile, and new ones are accepted.
    """

    def __init__(self, url: str) -> None:
        self._target = conninfo_to_dict(url)
        self._is_silent = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = make_conninfo(
            url,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            sslmode="disable",
            gssencmode="disable",
        )
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def fall_silent(self) -> None:
        """Swallow everything from now on."""
        self._is_silent.set()

    def speak(self) -> None:
        """Pass on what comes over new connections; the old ones, which have lost bytes, end."""
        self._is_silent.clear()
        self._end_connections()

    def close(self) -> None:
        """End everything."""
        self._listener.close()
        self._end_connections()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                with self._lock:
                    self._open |= {client, server}
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass_on, args=(source, target), name="proxy", daemon=True
                    ).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._target["host"]), self._target.get("port") or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return server

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK):
                if not self._is_silent.is_set():
                    target.sendall(block)
        self._end({source, target})

    def _end_connections(self) -> None:
        with self._lock:
            everything = set(self._open)
        self._end(everything)

    def _end(self, sockets: set[socket.socket]) -> None:
        with self._lock:
            self._open -= sockets
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def silent_proxy(url: str) -> Iterator[SilentProxy]:
    """Yield a proxy before the database in ``url``, which passes everything on at first."""
    proxy = SilentProxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
