"""HTTP server: waitress on one address, with a graceful shutdown.

``waitress.serve`` ends its event loop first and its threads afterwards, so what they still
write is never sent. Here the loop goes on until the last response is sent.
"""

import threading
import time
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

import structlog
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from configsvc_server.serving.channel import ApiChannel

__all__ = ["HttpServer", "ListenError"]

_log = structlog.stdlib.get_logger(__name__)


class ListenError(Exception):
    """The server can't listen on its address; the message says which and why."""


class HttpServer:
    """WSGI server on one address."""

    CONNECTION_LIMIT = 2000
    """Largest number of open connections; waitress's default of 100 is too few for a fleet."""

    OVERSIZE = 16
    """Bodies up to this many times the limit are read and refused with 413; with larger ones
    the connection is cut after the response, which some clients report as a broken pipe."""

    _POLL_INTERVAL = 1.0
    """Seconds that one step of the event loop may wait."""

    _DRAIN_POLL_INTERVAL = 0.05
    """The same during the shutdown, in seconds."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        threads: int = 16,
        max_body_bytes: int = 1024 * 1024,
        shutdown_timeout: float = 5.0,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind the address; :meth:`run` serves it.

        Args:
            app: the WSGI application.
            host: address or host name to listen on.
            port: port to listen on; 0 for any free one.
            threads: requests served at the same time.
            max_body_bytes: how large a request body may be, in bytes.
            shutdown_timeout: how long running requests have to finish at a stop, in seconds.
            on_stop: called when no new requests are accepted any more; should make waiting
                requests return.

        Raises:
            ListenError: the address can't be used.
        """
        self._map: dict[int, Any] = {}
        self._stopping = False
        self._closed = False
        # Reentrant: a signal handler may come while its own thread holds it.
        self._lock = threading.RLock()
        self._on_stop = on_stop
        self._shutdown_timeout = shutdown_timeout
        try:
            self._waitress = create_server(
                app,
                map=self._map,
                host=host,
                port=port,
                threads=threads,
                connection_limit=self.CONNECTION_LIMIT,
                max_request_body_size=max_body_bytes * self.OVERSIZE,
                # select() breaks with more than about a thousand descriptors.
                asyncore_use_poll=True,
                # Reading ahead is how waitress notices that a waiting client has gone.
                channel_request_lookahead=1,
                ident="configsvc",
                expose_tracebacks=False,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such address"
            raise ListenError(f"can't listen on {host} port {port}: {reason}") from error
        # A host name may stand for several addresses; each has a listener of its own.
        self._listeners: list[Any] = [
            entry for entry in self._map.values() if isinstance(entry, BaseWSGIServer)
        ]
        for listener in self._listeners:
            listener.channel_class = ApiChannel
        self.port = int(self._listeners[0].effective_port)
        """The port that the server listens on, also if 0 was given."""

    def run(self) -> None:
        """Serve until :meth:`stop`, let running requests finish, and close everything."""
        try:
            while not self._stopping:
                self._loop(self._POLL_INTERVAL)
            self._drain()
        finally:
            self._waitress.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
            with self._lock:
                self._closed = True
                wasyncore.close_all(self._map, ignore_all=True)

    def stop(self) -> None:
        """Ask :meth:`run` to return; safe in a signal handler and from another thread."""
        with self._lock:
            self._stopping = True
            # After the close, the descriptor of the trigger may belong to another file.
            if not self._closed:
                self._listeners[0].pull_trigger()

    def _drain(self) -> None:
        for listener in self._listeners:
            # Removes it from the map: new connections are refused, the open ones stay.
            wasyncore.dispatcher.close(listener)
        self._on_stop()
        deadline = time.monotonic() + self._shutdown_timeout
        while channels := self._open_channels():
            for channel in channels:
                if _is_idle(channel):
                    channel.handle_close()
            busy = len(self._open_channels())
            if busy and time.monotonic() > deadline:
                _log.warning("stopping with requests unfinished", requests=busy)
                return
            if busy:
                self._loop(self._DRAIN_POLL_INTERVAL)

    def _loop(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._map, count=1)

    def _open_channels(self) -> list[HTTPChannel]:
        return [entry for entry in list(self._map.values()) if isinstance(entry, HTTPChannel)]


def _is_idle(channel: HTTPChannel) -> bool:
    return not (channel.requests or channel.request or channel.total_outbufs_len)
