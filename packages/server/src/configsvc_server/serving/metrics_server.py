"""Metrics server: the metrics on a port of their own, answered whatever the other port does."""

import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self
from wsgiref.types import WSGIApplication

from configsvc_server.serving.limits import Limits
from configsvc_server.serving.server import HttpServer

__all__ = ["MetricsServer"]

# Those who scrape are few, and known.
_LIMITS: Final = Limits(
    max_body_bytes=1024,
    head_timeout=5.0,
    body_timeout=5.0,
    queue_timeout=5.0,
    stall_timeout=10.0,
    max_connections=32,
    max_connections_per_peer=16,
    max_buffered_bytes=16 * 1024 * 1024,
)


class MetricsServer:
    """Server with an event loop and a thread of its own, which runs while the block does."""

    SHUTDOWN_TIMEOUT = 2.0
    """Seconds that a scrape has to finish at the end."""

    def __init__(self, app: WSGIApplication, sockets: Sequence[socket.socket]) -> None:
        """Listen on bound sockets.

        Raises:
            ListenError: they can't be used.
        """
        self._server = HttpServer(
            app,
            sockets=sockets,
            threads=1,
            limits=_LIMITS,
            shutdown_timeout=self.SHUTDOWN_TIMEOUT,
        )
        self._thread = threading.Thread(
            target=self._server.run, name="configsvc-metrics", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join(2 * self.SHUTDOWN_TIMEOUT)
