"""Table ``environments``; a deleted one keeps its row, with the time of its deletion."""

from collections.abc import Collection
from datetime import datetime

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.errors import ConflictError
from configsvc_server.domain.models import Environment, EnvironmentDocument
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import Condition, count_rows, fetch_page
from configsvc_server.repositories.timing import timed

__all__ = ["EnvironmentRepository"]

_COLUMNS = "application_id, name, position, auto_release, protected, created_at, updated_at"


@timed("environments")
class EnvironmentRepository:
    """Reads and writes environments over one connection; writers hold the write lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self, *, application_id: str, name: str, document: EnvironmentDocument, timestamp: datetime
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
                    timestamp,
                    timestamp,
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

    def page(
        self, application_id: str, request: PageRequest, *, names: Collection[str] | None = None
    ) -> Page[Environment]:
        """Return one page of the environments of an application.

        Args:
            application_id: the application.
            request: which part, in which order.
            names: only these; ``None`` for all.
        """
        conditions: list[Condition] = [
            (SQL("application_id = %s"), [application_id]),
            (SQL("deleted_at IS NULL"), []),
        ]
        if names is not None:
            conditions.append((SQL("name = ANY (%s)"), [sorted(names)]))
        return fetch_page(
            self._connection,
            table="environments",
            columns=SQL(_COLUMNS),
            conditions=conditions,
            request=request,
            make=Environment,
            total=count_rows("environments", conditions),
        )

    def update(
        self, *, application_id: str, name: str, document: EnvironmentDocument, timestamp: datetime
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
                timestamp,
                application_id,
                name,
            ],
        ).fetchone()
        assert row is not None  # noqa: S101 - the write lock is held
        return Environment(*row)

    def delete(self, application_id: str, name: str, *, timestamp: datetime) -> None:
        """Mark an environment as deleted."""
        self._connection.execute(
            """
            UPDATE environments SET deleted_at = %s
            WHERE application_id = %s AND name = %s AND deleted_at IS NULL
            """,
            [timestamp, application_id, name],
        )
