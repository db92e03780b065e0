"""The table ``environments``; one that is deleted stays there with its time."""

from datetime import datetime

from psycopg.errors import UniqueViolation

from configsvc_server.db.database import Connection
from configsvc_server.domain.errors import ConflictError
from configsvc_server.domain.models import Environment, EnvironmentDocument

__all__ = ["EnvironmentRepository"]

_COLUMNS = "application_id, name, position, auto_release, protected, created_at, updated_at"


class EnvironmentRepository:
    """Reads and writes environments over one connection; writers have their turn."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self, *, application_id: str, name: str, document: EnvironmentDocument, moment: datetime
    ) -> Environment:
        """Add an environment.

        Raises:
            ConflictError: the application has one of this name.
        """
        try:
            row = self._connection.execute(
                f"""
                INSERT INTO environments ({_COLUMNS})
                VALUES (%s, %s, %s, %s, %s, %s, %s)
                RETURNING {_COLUMNS}
                """.encode(),  # noqa: S608
                [
                    application_id,
                    name,
                    document.position,
                    document.auto_release,
                    document.protected,
                    moment,
                    moment,
                ],
            ).fetchone()
        except UniqueViolation:
            raise ConflictError(entity="environment", field="name", value=name) from None
        assert row is not None  # noqa: S101 - it was inserted
        return Environment(*row)

    def find(self, application_id: str, name: str) -> Environment | None:
        """Return one environment of an application."""
        row = self._connection.execute(
            f"""
            SELECT {_COLUMNS}
            FROM environments
            WHERE application_id = %s AND name = %s AND deleted_at IS NULL
            """.encode(),  # noqa: S608
            [application_id, name],
        ).fetchone()
        return None if row is None else Environment(*row)

    def all_of(self, application_id: str) -> list[Environment]:
        """Return the environments of an application, in the order of promotion."""
        rows = self._connection.execute(
            f"""
            SELECT {_COLUMNS}
            FROM environments
            WHERE application_id = %s AND deleted_at IS NULL
            ORDER BY position, name
            """.encode(),  # noqa: S608
            [application_id],
        )
        return [Environment(*row) for row in rows]

    def update(
        self, *, application_id: str, name: str, document: EnvironmentDocument, moment: datetime
    ) -> Environment:
        """Replace what can be changed of an environment that exists."""
        row = self._connection.execute(
            f"""
            UPDATE environments
            SET position = %s, auto_release = %s, protected = %s, updated_at = %s
            WHERE application_id = %s AND name = %s AND deleted_at IS NULL
            RETURNING {_COLUMNS}
            """.encode(),  # noqa: S608
            [
                document.position,
                document.auto_release,
                document.protected,
                moment,
                application_id,
                name,
            ],
        ).fetchone()
        assert row is not None  # noqa: S101 - nobody else has the turn
        return Environment(*row)

    def delete(self, application_id: str, name: str, *, moment: datetime) -> None:
        """End the time of an environment."""
        self._connection.execute(
            """
            UPDATE environments SET deleted_at = %s
            WHERE application_id = %s AND name = %s AND deleted_at IS NULL
            """,
            [moment, application_id, name],
        )
