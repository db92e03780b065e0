"""State of the database as a whole, for those who look after it."""

from configsvc_server.db.connections import Connection
from configsvc_server.repositories.timing import timed

__all__ = ["MonitoringRepository"]


@timed("monitoring")
class MonitoringRepository:
    """Reads what is true of all servers together, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def server(self) -> tuple[str, bool]:
        """Return the version of PostgreSQL, and whether this one is a standby."""
        row = self._connection.execute(
            "SELECT current_setting('server_version'), pg_is_in_recovery()"
        ).fetchone()
        assert row is not None  # noqa: S101 - a query without FROM gives one row
        return str(row[0]), bool(row[1])

    def totals(self) -> dict[str, int]:
        """Return how many rows there are, by entity."""
        rows = self._connection.execute(
            "SELECT entity, amount FROM totals WHERE application_id = ''"
        ).fetchall()
        return {"application": 0, "configuration": 0, **{row[0]: row[1] for row in rows}}

    def write_lock_waiting(self) -> int:
        """Return how many sessions wait for the write lock."""
        row = self._connection.execute(
            """
            SELECT count(*)
            FROM pg_locks
            -- The number of configsvc_acquire_write_lock, in two halves.
            WHERE locktype = 'advisory' AND objsubid = 1 AND NOT granted
                AND classid = (27988542649624420 >> 32)::oid
                AND objid = (27988542649624420 & 4294967295)::oid
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """
        ).fetchone()
        return int(row[0]) if row else 0
