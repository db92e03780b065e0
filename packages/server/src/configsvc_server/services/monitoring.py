"""Monitoring: what metrics tell of the database."""

from collections import Counter

from configsvc_server.db.database import Database
from configsvc_server.db.migrations import Migrator
from configsvc_server.repositories import Repositories
from configsvc_server.services.periodic_reader import PeriodicReader
from configsvc_server.telemetry.readings import StoredReading

__all__ = ["MonitoringService"]


class MonitoringService(PeriodicReader[StoredReading]):
    """Reads the state of the database as a whole."""

    def __init__(self, database: Database, migrator: Migrator) -> None:
        super().__init__(StoredReading())
        self._database = database
        self._migrator = migrator

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
