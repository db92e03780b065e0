"""Listener: accepts connections, as many as there is room for."""

import errno
import socket
import time
from typing import Any, Final

import structlog
from waitress.server import TcpWSGIServer

from configsvc_server.serving.channel import ApiChannel
from configsvc_server.serving.connections import Connections
from configsvc_server.serving.lanes import Lanes
from configsvc_server.serving.limits import Limits
from configsvc_server.serving.loop import EventLoop

__all__ = ["ApiListener"]

_log = structlog.stdlib.get_logger(__name__)

# What the system says when it has no room for another connection.
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ApiListener(TcpWSGIServer):
    """Listening socket of the server."""

    # waitress's stubs don't know these.
    socket: Any
    effective_port: int

    ACCEPTS = 100
    """Connections that are accepted in one step of the event loop."""

    PAUSE = 0.5
    """Seconds without accepting when the system has no room for a connection."""

    LOG_INTERVAL = 10.0
    """Seconds between two log lines about connections that were refused."""

    def __init__(
        self,
        application: Any,
        *,
        sock: socket.socket,
        adj: Any,
        event_loop: EventLoop,
        lanes: Lanes,
        connections: Connections,
        limits: Limits,
    ) -> None:
        """Watch a bound socket; it listens from :meth:`accept_connections` on."""
        self.event_loop = event_loop
        self.lanes = lanes
        self.connections = connections
        self.limits = limits
        self._paused_until = 0.0
        self._refused = 0
        self._logged_at = 0.0
        super().__init__(
            application,
            map=event_loop.dispatchers,
            _start=False,
            _sock=sock,
            dispatcher=_NO_DISPATCHER,
            adj=adj,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    def readable(self) -> bool:
        """Return whether to accept."""
        return self.accepting and not self._paused_until

    def writable(self) -> bool:
        """Return false: nothing is sent here."""
        return False

    def handle_touch(self) -> None:
        """Do nothing: the loop asks :meth:`readable` anew."""

    def handle_accept(self) -> None:
        """Accept what waits, and refuse what there is no room for."""
        for _ in range(self.ACCEPTS):
            try:
                sock, address = self.socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._pause(error)
                    return
                # The peer has gone before it was accepted.
                continue
            self._admit(sock, address)

    def sweep(self, now: float) -> None:
        """Accept again after a pause."""
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            self.event_loop.touch(self)

    def pull_trigger(self) -> None:
        """Wake the event loop."""
        self.event_loop.wake()

    def _admit(self, sock: socket.socket, address: Any) -> None:
        admitted = self.connections.admit(address[0])
        if admitted is False:
            sock.close()
            self._report_refusal("too many connections", address[0])
            return
        try:
            sock.setblocking(False)
            self.set_socket_options(sock)
        except OSError:
            # macOS says so where the peer has gone already.
            sock.close()
            return
        ApiChannel(self, sock, address, only_health=admitted is None)

    def _pause(self, error: OSError) -> None:
        """Make room; if there is none to make, let the others finish before accepting again.

        The socket stays readable: without a pause, the loop would do nothing else.
        """
        self._report_refusal(str(error.strerror), None)
        if not self.connections.make_room():
            self._paused_until = time.monotonic() + self.PAUSE

    def _report_refusal(self, why: str, peer: str | None) -> None:
        self._refused += 1
        self.connections.closed["refused"] += 1
        now = time.monotonic()
        if now - self._logged_at >= self.LOG_INTERVAL:
            self._logged_at = now
            _log.warning(
                "connections refused",
                why=why,
                peer=peer,
                refused=self._refused,
                open=len(self.connections),
            )
            self._refused = 0


class _NoDispatcher:
    """Stands where waitress has its own threads; ours are lanes."""


_NO_DISPATCHER: Any = _NoDispatcher()
