"""Monitoring: what metrics tell of the database, read seldom and in bounded time."""

import threading
import time
from collections import Counter

from configsvc_server.db.database import Database
from configsvc_server.db.migrations import Migrator
from configsvc_server.repositories import Repositories
from configsvc_server.telemetry.readings import StoredReading

__all__ = ["MonitoringService"]


class MonitoringService:
    """Reads the state of the database for whoever scrapes metrics, however often."""

    INTERVAL = 10.0
    """Seconds for which a reading counts, also one that has failed."""

    MAX_AGE = 60.0
    """Seconds after which a reading is shown no more, where there is no newer one."""

    def __init__(self, database: Database, migrator: Migrator) -> None:
        self._database = database
        self._migrator = migrator
        self._lock = threading.Lock()
        self._tried_at = self._read_at = float("-inf")
        self._reading = StoredReading()

    @property
    def reading(self) -> StoredReading:
        """State of the database as it was read last; empty where that is too long ago."""
        is_old = time.monotonic() - self._read_at > self.MAX_AGE
        return StoredReading() if is_old else self._reading

    def refresh(self) -> Exception | None:
        """Read the state of the database unless it was tried a moment ago; return what failed.

        Who comes while another thread reads does not wait for it.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if time.monotonic() - self._tried_at < self.INTERVAL:
                return None
            self._tried_at = time.monotonic()
            self._reading = self._read()
            self._read_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever it is, others go on
            return error
        finally:
            self._lock.release()
        return None

    def _read(self) -> StoredReading:
        with self._database.monitoring() as connection:
            monitoring = Repositories(connection).monitoring
            migrations: Counter[str] = Counter(
                status.state for status in self._migrator.status_with(connection)
            )
            return StoredReading(
                entities=monitoring.totals(),
                write_lock_waiting=monitoring.write_lock_waiting(),
                migrations={"pending": 0, **migrations},
            )
