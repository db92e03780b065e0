"""The table ``changes``: the audit trail and the change feed."""

from collections.abc import Sequence

from configsvc_server.db.database import Connection
from configsvc_server.domain.models import Change, Provenance

__all__ = ["FEED_LOCK", "ChangeRepository"]

FEED_LOCK = 0x636F6E66696764
"""Advisory lock, held from before an id is taken until the commit, so that ids become
visible in order."""


class ChangeRepository:
    """Writes and reads changes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, changes: Sequence[Change]) -> None:
        """Add changes, as the last thing that a transaction does.

        From here to the commit no other transaction can append: whoever has to wait should
        wait for the commit alone.
        """
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [FEED_LOCK])
        with self._connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO changes (
                    action, entity, application_id, configuration_id, name, version,
                    actor, request_id, message, created_at
                )
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, now())
                """,
                [
                    (
                        change.action,
                        change.entity,
                        change.application_id,
                        change.configuration_id,
                        change.name,
                        change.version,
                        change.provenance.actor,
                        change.provenance.request_id,
                        change.provenance.message,
                    )
                    for change in changes
                ],
            )

    def all_of(self, application_id: str) -> list[Change]:
        """Return what happened to an application and its configurations, in order."""
        rows = self._connection.execute(
            """
            SELECT action, entity, application_id, configuration_id, name, version,
                   actor, request_id, message, created_at
            FROM changes
            WHERE application_id = %s
            ORDER BY id
            """,
            [application_id],
        )
        return [
            Change(
                action=row[0],
                entity=row[1],
                application_id=row[2],
                configuration_id=row[3],
                name=row[4],
                version=row[5],
                provenance=Provenance(*row[6:9]),
                created_at=row[9],
            )
            for row in rows
        ]
