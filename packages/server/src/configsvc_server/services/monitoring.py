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

    def read(self) -> StoredReading:
        """Return the state of the database.

        Who comes while another thread reads gets what was read before.
        """
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._tried_at >= self.INTERVAL:
                    self._tried_at = time.monotonic()
                    self._reading = self._read()
                    self._read_at = time.monotonic()
            finally:
                self._lock.release()
        is_old = time.monotonic() - self._read_at > self.MAX_AGE
        return StoredReading() if is_old else self._reading

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
