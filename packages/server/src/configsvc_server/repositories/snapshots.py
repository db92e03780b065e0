"""Snapshots: everything that an environment serves, now or at a past time."""

from datetime import datetime

from configsvc_server.db.connections import Connection
from configsvc_server.domain.models import Snapshot, SnapshotEntry
from configsvc_server.repositories.timing import timed

__all__ = ["SnapshotRepository"]

# Outer joins, so that an environment that serves nothing is one row of nothing but the name
# of its application.
_CURRENT = b"""
    SELECT applications.name, served_versions.name, revisions.configuration_id,
           revisions.version, revisions.created_at,
           -- The text of the object goes to clients as it is: no need to read and write it again.
           revisions.config::text, revisions.overlays -> environments.name,
           revisions.defaults::text, revisions.secrets::text
    FROM environments
    JOIN applications ON applications.id = environments.application_id
    LEFT JOIN served_versions
        ON served_versions.application_id = environments.application_id
        AND served_versions.environment = environments.name
    LEFT JOIN revisions
        ON revisions.configuration_id = served_versions.configuration_id
        AND revisions.version = served_versions.version
    WHERE environments.application_id = %(application_id)s
        AND environments.name = %(environment)s
        AND environments.deleted_at IS NULL
    ORDER BY served_versions.name
"""

_PAST = b"""
    WITH application AS (
        SELECT name, action
        FROM changes
        WHERE application_id = %(application_id)s
            AND entity = 'application'
            AND created_at <= %(timestamp)s
        ORDER BY id DESC
        LIMIT 1
    ),
    environment AS (
        SELECT name, created_at
        FROM environments
        WHERE application_id = %(application_id)s
            AND name = %(environment)s
            AND created_at <= %(timestamp)s
            AND (deleted_at IS NULL OR deleted_at > %(timestamp)s)
    ),
    served AS (
        -- What an earlier environment of this name served has ended with it.
        SELECT DISTINCT ON (configuration_id) configuration_id, version
        FROM releases
        WHERE application_id = %(application_id)s
            AND environment = %(environment)s
            AND created_at BETWEEN (SELECT created_at FROM environment) AND %(timestamp)s
        ORDER BY configuration_id, id DESC
    )
    SELECT application.name, revisions.name, revisions.configuration_id, revisions.version,
           revisions.created_at, revisions.config::text, revisions.overlays -> environment.name,
           revisions.defaults::text, revisions.secrets::text
    FROM environment
    JOIN application ON application.action <> 'delete'
    LEFT JOIN (
        served
        JOIN revisions
            ON revisions.configuration_id = served.configuration_id
            AND revisions.version = served.version
    ) ON true
    ORDER BY revisions.name
"""


@timed("snapshots")
class SnapshotRepository:
    """Reads snapshots over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def current(self, application_id: str, environment: str) -> Snapshot | None:
        """Return what an environment serves, or ``None`` without application or environment."""
        return self._read(_CURRENT, {"application_id": application_id, "environment": environment})

    def past(self, application_id: str, environment: str, timestamp: datetime) -> Snapshot | None:
        """Return what an environment served, or ``None`` where it did not exist then.

        It is exact for every timestamp up to that of :meth:`write_barrier`.
        """
        return self._read(
            _PAST,
            {
                "application_id": application_id,
                "environment": environment,
                "timestamp": timestamp,
            },
        )

    def write_barrier(self) -> datetime:
        """Wait for the writer that holds the write lock now, if one does.

        Returns:
            A timestamp, up to which nothing can be written any more.
        """
        row = self._connection.execute("SELECT configsvc_write_barrier()").fetchone()
        assert row is not None  # noqa: S101 - a function without FROM gives one row
        timestamp: datetime = row[0]
        return timestamp

    def _read(self, query: bytes, parameters: dict[str, object]) -> Snapshot | None:
        rows = self._connection.execute(query, parameters).fetchall()
        if not rows:
            return None
        return Snapshot(
            str(parameters["application_id"]),
            rows[0][0],
            str(parameters["environment"]),
            tuple(SnapshotEntry(*row[1:]) for row in rows if row[1] is not None),
        )
