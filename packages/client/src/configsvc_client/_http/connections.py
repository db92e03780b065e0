"""Connections of urllib3 that end in time, and that another thread can end at once.

Timeouts of sockets are for the silence between two pieces of a response, so a server that sends
a byte now and then would hold a thread for ever. Here each read of a socket also looks at the
deadline of the whole request and at the bytes that were received. And each socket is known to
the transport from its first moment: to end a wait of another thread, be it for a connection, a
TLS handshake, a proxy or a response, and to close in a forked child what is the parent's.
"""

import contextlib
import io
import os
import socket
import threading
import time
import weakref
from functools import partial
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager
from urllib3.util.connection import allowed_gai_family

__all__ = ["Adapter", "HeadersCutError", "Sockets", "TooLargeError", "Wire"]

_POOL_SIZE: Final = 4

_MAX_HEAD: Final = 256 * 1024
"""Bytes that status line and headers may have, and what is sent before those."""


class HeadersCutError(HTTPException):
    """End of the connection amid the headers, which ``http.client`` takes for their end."""


class TooLargeError(Exception):
    """Response with more bytes than are allowed; no error of HTTP, so that nothing wraps it."""


class Sockets:
    """Open sockets of one transport, in all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_shut_down = False

    def add(self, sock: socket.socket) -> None:
        """Remember an open socket.

        Raises:
            ConnectionAbortedError: all sockets were shut down before.
        """
        with self._lock:
            self._open.add(sock)
            if self._is_shut_down:
                _shut_down(sock)
                raise ConnectionAbortedError("the client is closed")

    def shut_down(self) -> None:
        """Shut down all sockets, which wakes the threads that wait; later ones at once."""
        with self._lock:
            self._is_shut_down = True
            for sock in list(self._open):
                _shut_down(sock)

    def after_fork_in_child(self) -> None:
        """Close this process's descriptors; the connections stay open in the parent."""
        # Not under the lock: the parent may have held it when it forked.
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                descriptor = sock.detach()
                if descriptor >= 0:
                    os.close(descriptor)


class Wire:
    """Bounds of the request that one thread makes, as its connections look them up."""

    def __init__(self, sockets: Sockets, *, max_size: int) -> None:
        self.sockets = sockets
        self.max_size = max_size
        """Bytes that a body may have."""
        self.deadline = 0.0
        """Monotonic time at which the request ends."""
        self.has_connected: bool | None = None
        """Whether the request may have reached the server; ``None`` as long as nothing is known."""
        self.read_timeout = 0.0
        """Seconds that a request may stay silent once it is connected."""

    @property
    def is_over(self) -> bool:
        """Whether the time of the request is over."""
        return time.monotonic() >= self.deadline

    def patience(self, timeout: float | None) -> float:
        """Return the seconds that a socket may wait.

        Args:
            timeout: the seconds that it would wait.

        Raises:
            TimeoutError: the time of the request is over.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time of the request is over")
        return left if timeout is None else min(timeout, left)

    def connect(
        self, host: str, port: int, timeout: float | None, options: Any, source: Any
    ) -> socket.socket:
        """Return a socket that is connected to the first address that answers.

        Args:
            host: the name or address.
            port: the port.
            timeout: seconds for each address.
            options: options of the socket, as urllib3 has them.
            source: the address to connect from.

        Raises:
            OSError: there is no address, or none that answers.
        """
        failure: OSError | None = None
        family, kind = allowed_gai_family(), socket.SOCK_STREAM
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, family, kind)
        except UnicodeError:
            raise OSError("the name of the host is malformed") from None
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                self.sockets.add(sock)
                for option in options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self.patience(timeout))
                if source:
                    sock.bind(source)
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error.with_traceback(None)
            else:
                return sock
        raise failure or OSError("the name has no address")


class Adapter(HTTPAdapter):
    """Adapter of requests whose connections are bound by a wire."""

    def __init__(self, wire: Wire) -> None:
        self._pools: dict[str, Any] = {
            "http": partial(_Pool, wire=wire),
            "https": partial(_SecurePool, wire=wire),
        }
        self._known: tuple[str, Any] | None = None
        super().__init__(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool for a request, found once for the server that nearly all go to.

        By itself, requests looks at proxies and files of certificates for each request, which
        is a tenth of what a poll costs. They stay the same for the life of a session.
        """
        scheme, _, rest = request.url.partition("://")
        origin = f"{scheme}://{rest.partition('/')[0]}"
        if self._known is not None and self._known[0] == origin:
            return self._known[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        if self._known is None:
            self._known = origin, pool
        return pool

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pool manager make pools of bound connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        """Return the pool manager of a proxy, with bound connections too."""
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


class _Bound:
    """Part of a connection that looks at the wire; stands before the class of urllib3."""

    # Of urllib3 and http.client.
    host: str
    port: int
    timeout: float | None
    source_address: Any
    socket_options: Any
    sock: Any
    _dns_host: str

    def __init__(self, *args: Any, wire: Wire, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire = wire
        self.response_class = partial(_BoundResponse, wire=wire)

    def connect(self) -> None:
        self._wire.has_connected = False
        super().connect()  # type: ignore[misc]
        self._wire.sockets.add(self.sock)
        self._wire.has_connected = True
        # The timeout for connecting is too short for the upload of a large body.
        self.sock.settimeout(self._wire.patience(self._wire.read_timeout))

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            self._wire.has_connected = True
            self.timeout = self._wire.patience(self._wire.read_timeout)
        super().request(*args, **kwargs)  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        try:
            return self._wire.connect(
                self._dns_host, self.port, self.timeout, self.socket_options, self.source_address
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"no connection to {self.host}") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]


class _Connection(_Bound, HTTPConnectionPool.ConnectionCls):  # type: ignore[misc,valid-type]
    pass


class _SecureConnection(_Bound, HTTPSConnectionPool.ConnectionCls):  # type: ignore[misc,valid-type]
    _raw: socket.socket | None = None

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            if self._raw is not None:
                self._raw.close()
                self._raw = None

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        # The handshake takes the descriptor out of this socket, and puts it into one that is
        # not known before the handshake is over.
        self._raw = sock.dup()
        try:
            self._wire.sockets.add(self._raw)
        except OSError:
            sock.close()
            raise
        return sock


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _BoundResponse(HTTPResponse):
    """Response of ``http.client`` that reads through an inlet."""

    def __init__(self, sock: socket.socket, *args: Any, wire: Wire, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._inlet = _Inlet(self.fp.detach(), sock, wire)
        self.fp = io.BufferedReader(self._inlet)

    def begin(self) -> None:
        super().begin()
        if self._inlet.is_at_end:
            raise HeadersCutError("the connection ended amid the headers")
        self._inlet.expect_body()


class _Inlet(io.RawIOBase):
    """Bytes of a socket, up to a deadline and a size."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, wire: Wire) -> None:
        self._raw = raw
        self._sock = sock
        self._wire = wire
        self._silence = sock.gettimeout()
        self._received = 0
        self._most = _MAX_HEAD
        self.is_at_end = False
        """Whether the connection has ended."""

    def expect_body(self) -> None:
        """Allow for the body, and as much again for the chunks that it may come in."""
        self._most = self._received + 2 * self._wire.max_size + _MAX_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        patience = self._wire.patience(self._silence)
        if patience != self._sock.gettimeout():
            self._sock.settimeout(patience)
        count: int | None = self._raw.readinto(buffer)
        self._received += count or 0
        self.is_at_end = count == 0
        if self._received > self._most:
            raise TooLargeError
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # The method of SSLSocket also takes its state away from the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
