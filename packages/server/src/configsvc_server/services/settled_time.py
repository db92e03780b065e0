"""Settled time: the past, up to which nothing can be written any more.

A snapshot of the past is exact only when no writer can still add to that time. Finding that out
means to wait for the writer of now, but once known it stays known.
"""

import threading
from datetime import datetime

from configsvc_server.db.database import Database
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.repositories import Repositories

__all__ = ["SettledTime"]


class SettledTime:
    """How far the past is settled, as far as this server knows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._until: datetime | None = None
        self._failures = 0

    def reach(self, timestamp: datetime) -> datetime:
        """Return a time up to which all is settled: ``timestamp`` at least, unless it is to come.

        Where it is recent, this waits for the writer that holds the write lock. Of those who ask
        at the same time, one waits in the database, and the others for it.

        Raises:
            UnavailableError: the writer took too long.
        """
        until = self._until
        if until is not None and timestamp <= until:
            return until
        failures = self._failures
        with self._lock:
            if self._until is not None and timestamp <= self._until:
                return self._until
            if self._failures != failures:
                # The same writer would be in the way again.
                raise UnavailableError(
                    "A write takes long, and the snapshot of this time depends on it.",
                    retry_after=Database.RETRY_AFTER,
                )
            try:
                with self._database.barrier() as connection:
                    now = Repositories(connection).snapshots.write_barrier()
            except UnavailableError:
                self._failures += 1
                raise
            self._until = now if self._until is None else max(now, self._until)
            return now
