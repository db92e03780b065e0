"""Sharing of the fleet: what this server has seen is written in batches, for all servers."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from configsvc_server.cache.fleet import Batch
from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.clock import DatabaseClock
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import ConfigSvcError
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.repositories import Repositories
from configsvc_server.repositories.instance_writes import ReportRow, SeenRow

__all__ = ["FleetSharer", "FleetSharing"]

_log = structlog.stdlib.get_logger(__name__)


_DAY: Final = 86400.0

# As many as there are heartbeats in a minute.
_COMPARISONS: Final = 6


class FleetSharing:
    """Writes what this server has seen, and that it is alive."""

    MAX_BATCH = 5_000
    """Instances that are written at once."""

    HEARTBEAT_INTERVAL = 10.0
    """Seconds between two heartbeats."""

    ALIVE_FOR = 3 * HEARTBEAT_INTERVAL
    """Seconds after its heartbeat that a server counts as alive."""

    MAX_LOGGED_AT_ONCE = 200_000
    """Rows of the log that may be written without a pause."""

    LOGGED_PER_SECOND = 10
    """Rows of the log that may be written for ever: whoever may read could report ever other
    versions of ever other instances."""

    MAX_REPORTS = 50_000
    """Reports of one environment that are kept, as many as there are instances in memory."""

    CLEANED = 5_000
    """Rows that are deleted at once."""

    def __init__(self, database: Database, cache: ResponseCache, *, retention: float) -> None:
        """Create it.

        Args:
            database: where it is written.
            cache: what this server has seen.
            retention: seconds that the log is kept.
        """
        self.server = new_ulid()
        self._database = database
        self._cache = cache
        self._fleet = cache.fleet
        self._retention = retention
        self._lock = threading.Lock()
        self._has_beaten = False
        self._clock = DatabaseClock(samples=_COMPARISONS)
        self._loggable = float(self.MAX_LOGGED_AT_ONCE)
        self._counted_at = self._fleet.now()

    def share(self) -> None:
        """Write what others do not know yet.

        Raises:
            ConfigSvcError: the database is away; it will be written later.
        """
        with self._lock:
            if self._fleet.is_unsure:
                # Others take an instance for gone if they do not know its server.
                self._beat()
            while batch := self._fleet.take(self.MAX_BATCH):
                try:
                    self._write(batch)
                    self._cache.convergences.clear()
                except BaseException:
                    self._fleet.give_back(batch)
                    raise
                if len(batch.seen) < self.MAX_BATCH:
                    break

    def beat(self) -> None:
        """Record that this server is alive, and find out whether others are.

        Raises:
            ConfigSvcError: the database is away.
        """
        with self._lock:
            self._beat()
        self._cache.time_passed()

    def time_of(self, moment: float) -> datetime | None:
        """Return the time of the database at a moment of the clock of the fleet, if it is known."""
        with self._lock:
            return self._clock.at(moment) if self._has_beaten else None

    def clean(self) -> None:
        """Delete what is too old.

        Raises:
            ConfigSvcError: the database is away.
        """
        deleted = self.CLEANED
        while deleted >= self.CLEANED:
            with self._database.transaction() as connection:
                deleted = Repositories(connection).instances.clean(
                    kept=_DAY, logged=self._retention, limit=self.CLEANED
                )

    def _beat(self) -> None:
        is_unsure, self._fleet.is_unsure = self._fleet.is_unsure, False
        try:
            with self._database.write_statement() as connection:
                before = self._fleet.now()
                is_known, others, now = Repositories(connection).instances.beat(
                    self.server, alive_for=self.ALIVE_FOR
                )
                after = self._fleet.now()
        except BaseException:
            self._fleet.is_unsure = True
            raise
        if is_unsure:
            self._clock.forget()
        self._clock.compare(before, after, now)
        self._fleet.has_peers = others > 0
        if self._has_beaten and not is_known:
            # PostgreSQL has crashed, and its tables that are not logged are empty.
            self._fleet.nothing_is_stored()
        self._has_beaten = True

    def _write(self, batch: Batch) -> None:
        rows = self._rows(batch)
        reports = [
            ReportRow(*key, version, rejections, self._clock.at(reported_at), self._may_log())
            for key, (version, rejections, reported_at) in sorted(batch.reports.items())
        ]
        # Each statement by itself: what is written twice because a later one fails does no harm.
        with self._database.write_statement() as connection:
            instances = Repositories(connection).instances
            if reports:
                # Before the polls that follow them: nobody may see those without their reasons.
                instances.report(reports, limit=self.MAX_REPORTS)
            if rows:
                instances.store(self.server, rows)
            if batch.forgotten:
                instances.forget(self.server, batch.forgotten)

    def _rows(self, batch: Batch) -> Sequence[SeenRow]:
        time_of = self._clock.at
        return [
            SeenRow(
                key[0],
                key[1],
                seen.about,
                seen.serves,
                changed_at=time_of(seen.changed_at),
                confirmed_at=time_of(seen.confirmed_at),
                first_seen_at=time_of(seen.first_seen_at),
                last_seen_at=time_of(seen.last_seen_at),
                gone_after=seen.gone_after,
                is_gone=seen.is_gone,
                address=seen.address,
                principal=seen.principal,
                is_logged=not seen.about.is_anonymous and self._may_log(),
            )
            for key, seen in batch.seen.items()
        ]

    def _may_log(self) -> bool:
        now = self._fleet.now()
        earned = (now - self._counted_at) * self.LOGGED_PER_SECOND
        self._loggable = min(self._loggable + earned, self.MAX_LOGGED_AT_ONCE)
        self._counted_at = now
        if self._loggable < 1:
            return False
        self._loggable -= 1
        return True


class FleetSharer:
    """Thread that shares what is new, twice a second at most, and finds out who has gone."""

    INTERVAL = 0.5
    """Seconds between two batches."""

    SWEEP_INTERVAL = 5.0
    """Seconds between two looks for instances that have gone."""

    CLEAN_INTERVAL = 600.0
    """Seconds between two deletions of what is too old."""

    def __init__(self, sharing: FleetSharing, cache: ResponseCache) -> None:
        self._sharing = sharing
        self._fleet = cache.fleet
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configsvc-fleet", daemon=True)
        self._has_failed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end the thread."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        beat_at = swept_at = 0.0
        cleaned_at = time.monotonic()
        while True:
            is_last = self._stop.wait(self.INTERVAL)
            now = time.monotonic()
            try:
                if now - swept_at >= self.SWEEP_INTERVAL:
                    swept_at = now
                    self._fleet.sweep()
                if self._fleet.is_unsure or now - beat_at >= self._sharing.HEARTBEAT_INTERVAL:
                    self._sharing.beat()
                    beat_at = now
                if self._fleet.has_news:
                    self._sharing.share()
                if now - cleaned_at >= self.CLEAN_INTERVAL:
                    cleaned_at = now
                    self._sharing.clean()
                self._has_failed = False
            except ConfigSvcError:
                # The database is away, which is logged already. What is new waits.
                self._fleet.is_unsure = True
                self._fleet.is_deaf()
            except Exception:  # noqa: BLE001 - the thread must outlive a bug
                if not self._has_failed:
                    _log.exception("the fleet could not be shared")
                self._has_failed = True
            if is_last:
                return
