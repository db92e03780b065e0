"""Table ``applications``."""

from datetime import datetime

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.errors import ConflictError
from configsvc_server.domain.identifiers import is_storable, is_ulid, normalize_ulid
from configsvc_server.domain.models import Application, ApplicationDetail, ApplicationDocument
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import (
    count_rows,
    fetch_page,
    name_conditions,
    search,
    stored_total,
)

__all__ = ["ApplicationRepository"]

# The condition is that of an index (see the migrations), which finds the last change at once.
_COLUMNS = """
    id, name, comments, created_at, updated_at,
    (
        SELECT coalesce(max(changes.id), 0)
        FROM changes
        WHERE changes.application_id = applications.id
            AND (
                changes.entity = 'application'
                OR (
                    changes.entity = 'configuration'
                    AND changes.action IN ('create', 'restore', 'delete')
                )
            )
    )
"""

_DETAIL = f"""
    SELECT {_COLUMNS},
           ARRAY(
               SELECT configurations.id
               FROM configurations
               WHERE configurations.application_id = applications.id
               ORDER BY configurations.id
           )
    FROM applications
    WHERE {{}} = %s
"""  # noqa: S608

_BY_ID = _DETAIL.format("id")
_BY_NAME = _DETAIL.format("name")

_ID_BY_ID = b"SELECT id FROM applications WHERE id = %s"
_ID_BY_NAME = b"SELECT id FROM applications WHERE name = %s"


class ApplicationRepository:
    """Reads and writes applications over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self, *, application_id: str, document: ApplicationDocument, timestamp: datetime
    ) -> None:
        """Add an application; the writer holds the write lock, and has the timestamp from it.

        Raises:
            ConflictError: the id or the name is taken.
        """
        self._write(
            b"""
            INSERT INTO applications (id, name, comments, created_at, updated_at)
            VALUES (%(id)s, %(name)s, %(comments)s, %(timestamp)s, %(timestamp)s)
            """,
            application_id=application_id,
            document=document,
            timestamp=timestamp,
        )

    def find(self, key: str) -> ApplicationDetail | None:
        """Return the application with the id or the name ``key``.

        Args:
            key: a ULID or a name; no name is shaped like a ULID.
        """
        if not is_storable(key):
            return None
        query, value = (_BY_ID, normalize_ulid(key)) if is_ulid(key) else (_BY_NAME, key)
        row = self._connection.execute(query.encode(), [value]).fetchone()
        if row is None:
            return None
        return ApplicationDetail(Application(*row[:-1]), tuple(row[-1]))

    def find_id(self, key: str, *, lock: bool = False) -> str | None:
        """Return the id of the application with the id or the name ``key``.

        Args:
            key: a ULID or a name; no name is shaped like a ULID.
            lock: keep others from changing or deleting it, and from adding configurations to it,
                until the transaction ends.
        """
        if not is_storable(key):
            return None
        query, value = (_ID_BY_ID, normalize_ulid(key)) if is_ulid(key) else (_ID_BY_NAME, key)
        if lock:
            query += b" FOR UPDATE"
        row = self._connection.execute(query, [value]).fetchone()
        return None if row is None else str(row[0])

    def update(
        self, *, application_id: str, document: ApplicationDocument, timestamp: datetime
    ) -> None:
        """Replace the document of an application that exists (see :meth:`insert`).

        Raises:
            ConflictError: the name is taken.
        """
        self._write(
            b"""
            UPDATE applications
            SET name = %(name)s, comments = %(comments)s, updated_at = %(timestamp)s
            WHERE id = %(id)s
            """,
            application_id=application_id,
            document=document,
            timestamp=timestamp,
        )

    def delete(self, application_id: str) -> None:
        """Remove an application and, by cascade, its configurations."""
        self._connection.execute("DELETE FROM applications WHERE id = %s", [application_id])

    def page(
        self, request: PageRequest, *, name: str | None = None, text: str | None = None
    ) -> Page[Application]:
        """Return one page of applications.

        Args:
            request: which part, in which order.
            name: only the one with this name.
            text: only those whose name or comments contain this, case-insensitively.

        Raises:
            InvalidError: to look for the text takes too long.
        """
        conditions = name_conditions(name, text)
        total = count_rows("applications", conditions) if conditions else None
        with search(self._connection, text):
            return fetch_page(
                self._connection,
                table="applications",
                columns=SQL(_COLUMNS),
                conditions=conditions,
                request=request,
                make=Application,
                total=total or stored_total("application"),
            )

    def _write(
        self,
        query: bytes,
        *,
        application_id: str,
        document: ApplicationDocument,
        timestamp: datetime,
    ) -> None:
        parameters = {
            "id": application_id,
            "name": document.name,
            "comments": document.comments,
            "timestamp": timestamp,
        }
        try:
            # In pipeline mode an error shows when something is fetched.
            self._connection.execute(query + b" RETURNING id", parameters).fetchone()
        except UniqueViolation as error:
            is_name = error.diag.constraint_name == "applications_name_key"
            field = "name" if is_name else "id"
            value = document.name if is_name else application_id
            raise ConflictError(entity="application", field=field, value=value) from None
