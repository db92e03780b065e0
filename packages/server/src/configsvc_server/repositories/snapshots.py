"""What an environment serves as a whole, now or at a past moment."""

from datetime import datetime

from configsvc_server.db.database import Connection
from configsvc_server.domain.models import Snapshot, SnapshotEntry

__all__ = ["SnapshotRepository"]

# Outer joins, so that an environment that serves nothing is one row of nothing but the name
# of its application.
_NOW = b"""
    SELECT applications.name, release_pointers.name, revisions.configuration_id,
           revisions.version, revisions.created_at,
           -- The text of the object goes to clients as it is: no need to read and write it again.
           revisions.config::text, revisions.overlays -> environments.name,
           revisions.defaults::text
    FROM environments
    JOIN applications ON applications.id = environments.application_id
    LEFT JOIN release_pointers
        ON release_pointers.application_id = environments.application_id
        AND release_pointers.environment = environments.name
    LEFT JOIN revisions
        ON revisions.configuration_id = release_pointers.configuration_id
        AND revisions.version = release_pointers.version
    WHERE environments.application_id = %(application_id)s
        AND environments.name = %(environment)s
        AND environments.deleted_at IS NULL
    ORDER BY release_pointers.name
"""

_THEN = b"""
    WITH named AS (
        SELECT name, action
        FROM changes
        WHERE application_id = %(application_id)s
            AND entity = 'application'
            AND created_at <= %(moment)s
        ORDER BY id DESC
        LIMIT 1
    ),
    place AS (
        SELECT name, created_at
        FROM environments
        WHERE application_id = %(application_id)s
            AND name = %(environment)s
            AND created_at <= %(moment)s
            AND (deleted_at IS NULL OR deleted_at > %(moment)s)
    ),
    served AS (
        -- What an earlier environment of this name served has ended with it.
        SELECT DISTINCT ON (configuration_id) configuration_id, version
        FROM releases
        WHERE application_id = %(application_id)s
            AND environment = %(environment)s
            AND created_at BETWEEN (SELECT created_at FROM place) AND %(moment)s
        ORDER BY configuration_id, id DESC
    )
    SELECT named.name, revisions.name, revisions.configuration_id, revisions.version,
           revisions.created_at, revisions.config::text, revisions.overlays -> place.name,
           revisions.defaults::text
    FROM place
    JOIN named ON named.action <> 'delete'
    LEFT JOIN (
        served
        JOIN revisions
            ON revisions.configuration_id = served.configuration_id
            AND revisions.version = served.version
    ) ON true
    ORDER BY revisions.name
"""


class SnapshotRepository:
    """Reads snapshots over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self, application_id: str, environment: str) -> Snapshot | None:
        """Return what an environment serves, or ``None`` without application or environment."""
        return self._read(_NOW, {"application_id": application_id, "environment": environment})

    def then(self, application_id: str, environment: str, moment: datetime) -> Snapshot | None:
        """Return what an environment served at a moment, or ``None`` where it was not there.

        It is exact for every moment for which no writer has its turn any more.
        """
        return self._read(
            _THEN,
            {"application_id": application_id, "environment": environment, "moment": moment},
        )

    def settle(self) -> datetime:
        """Wait until every moment until now is one that :meth:`then` is exact for; return it."""
        row = self._connection.execute("SELECT configsvc_settle()").fetchone()
        assert row is not None  # noqa: S101 - a function without FROM gives one row
        moment: datetime = row[0]
        return moment

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
