"""Hears of changes that other servers commit, over PostgreSQL's LISTEN and NOTIFY.

What is kept in memory may be served only while news of changes is sure to arrive. A broken
connection can look alive for minutes, so the listener sends itself a message every few
seconds; while the last one to arrive is too old, it says that it is not listening.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import psycopg
import structlog

from configsvc_server.db.database import Connection

__all__ = ["ChangeListener", "ChangeObserver"]

_log = structlog.stdlib.get_logger(__name__)

_CHANGES = "configsvc_changes"
_HEARTBEAT = "configsvc_heartbeat"
_NO_CONFIGURATION = "-"
_NAME = "configsvc-listener"


class ChangeObserver(Protocol):
    """Who wants to hear of changes."""

    def changed(
        self, application_id: str, configuration_id: str | None, environments: Sequence[str]
    ) -> None:
        """Hear of a change: of what, and which environments serve something else by it."""

    def missed(self) -> None:
        """Hear that any number of changes may have gone unheard."""


class ChangeListener:
    """Listens in a thread of its own, and connects again for as long as it takes."""

    HEARTBEAT = 2.0
    """Seconds between the messages that it sends itself."""

    PATIENCE = 3 * HEARTBEAT
    """After how many seconds of silence it counts as not listening."""

    RETRY_DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0)
    """Seconds to wait before connecting again; the last repeats."""

    def __init__(self, url: str, observer: ChangeObserver) -> None:
        self._url = url
        self._observer = observer
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._heard_at: float | None = None
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="configsvc-listener", daemon=True)

    def start(self, *, wait: float = 5.0) -> None:
        """Start to listen; return when it does, or after ``wait`` seconds."""
        self._thread.start()
        self._ready.wait(wait)

    def stop(self) -> None:
        """Stop listening and end the thread."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            # Wakes the thread, which may be waiting for news, without touching what is its.
            with (
                contextlib.suppress(psycopg.Error, OSError),
                socket.socket(fileno=os.dup(connection.fileno())) as descriptor,
            ):
                descriptor.shutdown(socket.SHUT_RDWR)
        self._thread.join(2 * self.HEARTBEAT)

    @property
    def is_listening(self) -> bool:
        """Whether every change committed until shortly ago has been heard of."""
        heard_at = self._heard_at
        return heard_at is not None and time.monotonic() - heard_at < self.PATIENCE

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._listen()
                failures = 0
            except psycopg.Error as error:
                if self._heard_at is not None and not self._stop.is_set():
                    failures = 0
                    _log.warning("listener disconnected", error=str(error).strip())
                self._forget()
                delay = self.RETRY_DELAYS[min(failures, len(self.RETRY_DELAYS) - 1)]
                failures += 1
                self._stop.wait(delay)
            except Exception:  # noqa: BLE001 - the thread must outlive a bug in an observer
                _log.exception("listener failed")
                self._forget()
                self._stop.wait(self.RETRY_DELAYS[-1])
        self._forget()

    def _forget(self) -> None:
        self._heard_at = None
        self._observer.missed()

    def _listen(self) -> None:
        with psycopg.connect(
            self._url, autocommit=True, connect_timeout=5, application_name=_NAME
        ) as connection:
            self._connection = connection
            connection.execute(f"LISTEN {_CHANGES}".encode())
            connection.execute(f"LISTEN {_HEARTBEAT}".encode())
            # What happened before we listened is unknown.
            self._observer.missed()
            while not self._stop.is_set():
                connection.execute("SELECT pg_notify(%s, '')", [_HEARTBEAT])
                self._hear(connection)

    def _hear(self, connection: Connection) -> None:
        for notification in connection.notifies(timeout=self.HEARTBEAT):
            if notification.channel == _CHANGES:
                application_id, _, rest = notification.payload.partition(" ")
                configuration_id, *environments = rest.split(" ")
                is_one = configuration_id not in {"", _NO_CONFIGURATION}
                self._observer.changed(
                    application_id, configuration_id if is_one else None, environments
                )
            elif notification.pid == connection.info.backend_pid:
                # What we send ourselves arrives, and so does everything sent before it.
                self._heard_at = time.monotonic()
                self._ready.set()
            # Leaving early would drop the rest of what has been received, so only a stop
            # does; the timeout ends this between two batches, however steady the news.
            if self._stop.is_set():
                return
