"""HTTP server: waitress on one address, with an event loop of its own and a graceful shutdown.

``waitress.serve`` ends its event loop first and its threads afterwards, so what they still
write is never sent. Here the loop goes on until the last response is sent.
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Sequence
from wsgiref.types import WSGIApplication

import structlog
from waitress import wasyncore
from waitress.adjustments import Adjustments

from configsvc_server.serving.connections import Connection, Connections, Phase
from configsvc_server.serving.lanes import Lanes
from configsvc_server.serving.limits import Limits
from configsvc_server.serving.listener import ApiListener
from configsvc_server.serving.loop import EventLoop
from configsvc_server.telemetry.readings import ServingReading

__all__ = ["HttpServer", "ListenError", "bind_sockets"]

_log = structlog.stdlib.get_logger(__name__)


class ListenError(Exception):
    """The server can't listen on its address; the message says which and why."""


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Take an address without listening on it yet, so that a start fails early if it is taken.

    Args:
        host: address or host name; every address that it stands for is taken.
        port: port to take; 0 for any free one, the same for all addresses.

    Raises:
        ListenError: the address can't be used.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(socket.socket(family, kind, protocol))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # Otherwise it would take the same port of IPv4, too.
                sockets[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken = port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)
            sockets[-1].bind((address[0], taken, *address[2:]))
    except (OSError, UnicodeError) as error:
        for taken_socket in sockets:
            taken_socket.close()
        raise _listen_error(host, port, error) from error
    return sockets


def _listen_error(host: str, port: int, error: Exception) -> ListenError:
    is_known = isinstance(error, OSError) and not isinstance(error, socket.gaierror)
    reason = (getattr(error, "strerror", None) if is_known else None) or "no such address"
    return ListenError(f"can't listen on {host} port {port}: {reason}")


class HttpServer:
    """WSGI server on one address."""

    BACKLOG = 1024
    """Connections that the system may keep until they are accepted."""

    _STEP = 1.0
    """Seconds that one step of the event loop may wait."""

    _DRAIN_STEP = 0.05
    """The same during the shutdown, in seconds."""

    _PARTIAL_SECONDS = 1.0
    """Seconds that a request which has not arrived completely has for the rest at a stop."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        sockets: Sequence[socket.socket] = (),
        threads: int = 16,
        limits: Limits | None = None,
        shutdown_timeout: float = 5.0,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Listen on the address; :meth:`run` serves it.

        Args:
            app: the WSGI application.
            host: address or host name to listen on.
            port: port to listen on; 0 for any free one.
            sockets: bound sockets (see :func:`bind_sockets`) instead of ``host`` and ``port``.
            threads: reads, and writes, that are served at the same time.
            limits: deadlines and caps of connections.
            shutdown_timeout: how long running requests have to finish at a stop, in seconds.
            on_stop: called when no new requests are accepted any more; should make waiting
                requests return.

        Raises:
            ListenError: the address can't be used.
        """
        self._stop_at = math.inf
        self._closed = False
        # Reentrant: a signal handler may come while its own thread holds it.
        self._lock = threading.RLock()
        self._on_stop = on_stop
        self._shutdown_timeout = shutdown_timeout
        self._loop = EventLoop()
        self._loop.on_sweep = self._sweep
        limits = limits or Limits()
        self._limit = limits.max_connections
        self._connections = Connections(limits)
        self._lanes = Lanes(threads=threads)
        adjustments = Adjustments(ident="configsvc", backlog=self.BACKLOG, expose_tracebacks=False)
        # A host name may stand for several addresses; each has a listener of its own.
        self._listeners = [
            ApiListener(
                app,
                sock=sock,
                adj=adjustments,
                event_loop=self._loop,
                lanes=self._lanes,
                connections=self._connections,
                limits=limits,
            )
            for sock in sockets or bind_sockets(host, port)
        ]
        try:
            for listener in self._listeners:
                listener.accept_connections()
        except OSError as error:
            self._loop.close()
            raise _listen_error(host, port, error) from error
        self.port = int(self._listeners[0].effective_port)
        """The port that the server listens on, also if 0 was given."""

    def run(self) -> None:
        """Serve until :meth:`stop`, let running requests finish, and close everything."""
        try:
            while (left := self._stop_at - time.monotonic()) > 0:
                self._loop.step(min(self._STEP, left))
            deadline = time.monotonic() + self._shutdown_timeout
            self._drain(deadline)
        finally:
            with self._lock:
                self._closed = True
                self._loop.close()
            self._lanes.stop(deadline=time.monotonic())

    def stop(self, *, after: float = 0.0) -> None:
        """Ask :meth:`run` to return; safe in a signal handler and from another thread.

        Args:
            after: how long to serve as before, in seconds; never longer than was asked before.
        """
        with self._lock:
            self._stop_at = min(self._stop_at, time.monotonic() + after)
            # After the close, the descriptor of the wake-up may belong to another file.
            if not self._closed:
                self._loop.wake()

    def reading(self) -> ServingReading:
        """Return the state of connections and threads; safe in any thread."""
        connections = self._connections
        return ServingReading(
            phases=connections.phases(),
            limit=self._limit,
            accepted=connections.accepted,
            closed=connections.closed.copy(),
            shed=connections.shed,
            refused=connections.refused.copy(),
            input_bytes=connections.input_bytes,
            output_bytes=connections.output.total,
            lanes=self._lanes.readings(),
        )

    def _drain(self, deadline: float) -> None:
        for listener in self._listeners:
            # New connections are refused, the open ones stay.
            wasyncore.dispatcher.close(listener)
        self._on_stop()
        partial_deadline = min(deadline, time.monotonic() + self._PARTIAL_SECONDS)
        while True:
            now = time.monotonic()
            for connection in self._connections.all():
                if _is_idle(connection, is_late=now > partial_deadline):
                    connection.handle_close()
            busy = len(self._connections)
            if not busy:
                return
            if now > deadline:
                _log.warning("stopping with requests unfinished", requests=busy)
                return
            self._loop.step(self._DRAIN_STEP)

    def _sweep(self, now: float) -> None:
        self._connections.sweep(now)
        for listener in self._listeners:
            listener.sweep(now)


def _is_idle(connection: Connection, *, is_late: bool) -> bool:
    phase = connection.phase
    return phase in {Phase.IDLE, Phase.LINGER} or (is_late and phase in {Phase.HEAD, Phase.BODY})
