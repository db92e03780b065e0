"""Change listener: evictions for the changes that other servers commit, over LISTEN and NOTIFY.

What is kept in memory may be served only while notifications are sure to arrive. A broken
connection can look alive for minutes, so the listener sends itself a heartbeat every second;
while the last one to arrive is too old, it does not count as listening. If the database does not
even answer, it connects again.

The heartbeat brings the time of the database as well. A notification says when it was made by that
clock, so how long it took to get here is known whatever the clock of this machine says.
"""

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol, get_args

import psycopg
import structlog

from configsvc_server.db.abandoned import AbandonedSessions
from configsvc_server.db.clock import DatabaseClock
from configsvc_server.db.connections import BoundedConnection, Connection
from configsvc_server.domain.models import Action, ChangeNotice, Entity
from configsvc_server.telemetry.readings import ListenerReading

__all__ = ["ChangeListener", "ChangeObserver", "Heartbeat"]

_log = structlog.stdlib.get_logger(__name__)

_CHANGES = "configsvc_changes"
_HEARTBEAT = "configsvc_heartbeat"
_SESSIONS = "configsvc_sessions"
_FLEET = "configsvc_fleet"
_NOTHING = "-"
_OTHER = "other"
_ENTITIES = frozenset(get_args(Entity))
_ACTIONS = frozenset(get_args(Action))
_AT = "@"
# As many as there are heartbeats in a minute.
_COMPARISONS = 60
_NAME = "configsvc-listener"


class ChangeObserver(Protocol):
    """Cache that evicts what changes have made wrong."""

    def changed(self, notice: ChangeNotice) -> None:
        """Handle a change."""

    def session_ended(self, secret_hash: str) -> None:
        """Handle the end of a session, known by the hash of its secret in hexadecimal."""

    def fleet_changed(self, application_id: str, environment: str) -> None:
        """Handle that something is new of the instances of an environment."""

    def evict_all(self) -> None:
        """Handle that any number of changes may have been missed."""


class Heartbeat:
    """Time of the last heartbeat that arrived; shared with those who rely on the listener."""

    INTERVAL = 1.0
    """Seconds between two heartbeats."""

    TIMEOUT = 6 * INTERVAL
    """Seconds without a heartbeat after which the listener does not count as listening."""

    def __init__(self) -> None:
        self._arrived_at: float | None = None

    @property
    def is_listening(self) -> bool:
        """Whether notifications of recent changes are known to have arrived."""
        arrived_at = self._arrived_at
        return arrived_at is not None and time.monotonic() - arrived_at < self.TIMEOUT

    @property
    def age(self) -> float | None:
        """Seconds since the last one arrived; ``None`` where none has since the connection."""
        arrived_at = self._arrived_at
        return None if arrived_at is None else time.monotonic() - arrived_at

    def arrived(self) -> None:
        """Record a heartbeat."""
        self._arrived_at = time.monotonic()

    def stop(self) -> bool:
        """Record that the connection is gone; return whether there was one."""
        was_listening = self._arrived_at is not None
        self._arrived_at = None
        return was_listening


class ChangeListener:
    """Listens in a thread of its own, and reconnects for as long as it takes."""

    RETRY_DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0)
    """Seconds to wait before connecting again; the last repeats."""

    ANSWER_TIMEOUT = 3.0
    """Seconds to wait for each answer, and as long for a connection. A silent database is noticed
    before the heartbeat is too old."""

    def __init__(
        self,
        url: str,
        observer: ChangeObserver,
        *,
        heartbeat: Heartbeat,
        on_change: Callable[[str, str, float | None], None] = lambda *_: None,
    ) -> None:
        """Prepare the thread.

        Args:
            url: connection string of the database.
            observer: evicts what changes have made wrong.
            heartbeat: is told of those that arrive.
            on_change: called after the eviction for a change: with its entity and its action,
                both ``other`` where one is not known, and the seconds since the moment before its
                commit, ``None`` where that is not known.
        """
        self._url = url
        self._observer = observer
        self._heartbeat = heartbeat
        self._on_change = on_change
        self._clock = DatabaseClock(samples=_COMPARISONS)
        self._connects = 0
        self._beat_at = 0.0
        self._lag: float | None = None
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="configsvc-listener", daemon=True)

    def start(self, *, wait: float = 5.0) -> None:
        """Start to listen; return when it does, or after ``wait`` seconds."""
        self._thread.start()
        self._ready.wait(wait)

    def reading(self) -> ListenerReading:
        """Return whether it hears, and since when."""
        is_listening = self._heartbeat.is_listening
        return ListenerReading(
            is_listening, self._heartbeat.age, self._connects, self._lag if is_listening else None
        )

    def stop(self) -> None:
        """Stop listening and end the thread."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            # Wakes the thread, which may be waiting for a notification, and touches nothing of it.
            with (
                contextlib.suppress(psycopg.Error, OSError),
                socket.socket(fileno=os.dup(connection.fileno())) as descriptor,
            ):
                descriptor.shutdown(socket.SHUT_RDWR)
        self._thread.join(2 * self._heartbeat.INTERVAL)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._listen()
                failures = 0
            except psycopg.Error as error:
                if self._disconnected() and not self._stop.is_set():
                    failures = 0
                    _log.warning("listener disconnected", error=str(error).strip())
                delay = self.RETRY_DELAYS[min(failures, len(self.RETRY_DELAYS) - 1)]
                failures += 1
                self._stop.wait(delay)
            except Exception:  # noqa: BLE001 - the thread must outlive a bug in an observer
                _log.exception("listener failed")
                self._disconnected()
                self._stop.wait(self.RETRY_DELAYS[-1])
        self._disconnected()

    def _disconnected(self) -> bool:
        """Have everything evicted; return whether there was a connection."""
        was_listening = self._heartbeat.stop()
        self._observer.evict_all()
        return was_listening

    def _listen(self) -> None:
        abandoned = AbandonedSessions()
        with BoundedConnection.open(
            self._url,
            answer_timeout=self.ANSWER_TIMEOUT,
            connect_timeout=self.ANSWER_TIMEOUT,
            name=_NAME,
        ) as connection:
            self._connection = connection
            self._connects += 1
            connection.execute(f"LISTEN {_CHANGES}".encode())
            connection.execute(f"LISTEN {_HEARTBEAT}".encode())
            connection.execute(f"LISTEN {_SESSIONS}".encode())
            connection.execute(f"LISTEN {_FLEET}".encode())
            # What happened before we listened is unknown.
            self._observer.evict_all()
            while not self._stop.is_set():
                self._beat(connection)
                abandoned.end(connection)
                self._handle_notifications(connection)

    def _beat(self, connection: Connection) -> None:
        self._beat_at = sent = time.monotonic()
        row = connection.execute(
            "SELECT clock_timestamp(), pg_notify(%s, '')", [_HEARTBEAT]
        ).fetchone()
        if row is not None:
            self._clock.compare(sent, time.monotonic(), row[0])

    def _handle_notifications(self, connection: Connection) -> None:
        for notification in connection.notifies(timeout=self._heartbeat.INTERVAL):
            if notification.channel == _CHANGES:
                self._handle_change(notification.payload)
            elif notification.channel == _FLEET:
                application_id, _, environment = notification.payload.partition(" ")
                self._observer.fleet_changed(application_id, environment)
            elif notification.channel == _SESSIONS:
                self._observer.session_ended(notification.payload)
            elif notification.pid == connection.info.backend_pid:
                # What we send ourselves arrives, and so does everything sent before it.
                self._lag = time.monotonic() - self._beat_at
                self._heartbeat.arrived()
                self._ready.set()
            # Leaving early would drop the rest of what has been received, so only a stop
            # does; the timeout ends this between two batches, however steady the stream.
            if self._stop.is_set():
                return

    def _handle_change(self, payload: str) -> None:
        changed_at, notice = _read_notice(payload)
        if notice is None:
            # Not ours: anybody may notify. Nothing is lost by evicting too much.
            self._observer.evict_all()
            return
        self._observer.changed(notice)
        lag = None if changed_at is None else self._clock.since(changed_at)
        is_known = notice.entity in _ENTITIES and notice.action in _ACTIONS
        kind = (notice.entity, notice.action) if is_known else (_OTHER, _OTHER)
        self._on_change(*kind, lag)


def _read_notice(payload: str) -> tuple[float | None, ChangeNotice | None]:
    """Return when something has changed, and what; ``None`` if the trigger has not told it."""
    line, _, actor = payload.partition("\n")
    words = line.split(" ")
    is_dated = line.startswith(_AT)
    changed_at = _read_time(words.pop(0)) if is_dated else None
    match words:
        case [application_id, configuration_id, entity, action, *environments] if (
            changed_at is not None or not is_dated
        ):
            notice = ChangeNotice(
                None if application_id == _NOTHING else application_id,
                None if configuration_id == _NOTHING else configuration_id,
                entity,
                action,
                tuple(environments),
                actor,
            )
            return changed_at, notice
    return None, None


def _read_time(word: str) -> float | None:
    try:
        timestamp = float(word.removeprefix(_AT))
    except ValueError:
        return None
    return timestamp if math.isfinite(timestamp) else None
