"""The table ``applications``."""

from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL

from configsvc_server.db.database import Connection
from configsvc_server.domain.errors import ConflictError
from configsvc_server.domain.identifiers import is_ulid, normalize_ulid
from configsvc_server.domain.models import Application, ApplicationDetail
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.paging import by_name, fetch_page

__all__ = ["ApplicationRepository"]

_COLUMNS = "id, name, comments, created_at, updated_at"

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
        self, *, application_id: str, name: str, comments: str | None, moment: datetime
    ) -> Application:
        """Add an application; the writer has its turn, and ``moment`` from it.

        Raises:
            ConflictError: the id or the name is taken.
        """
        row = self._write(
            f"""
            INSERT INTO applications ({_COLUMNS})
            VALUES (%s, %s, %s, %s, %s)
            RETURNING {_COLUMNS}
            """,  # noqa: S608
            [application_id, name, comments, moment, moment],
            application_id=application_id,
            name=name,
        )
        return Application(*row)

    def find(self, key: str, *, lock: bool = False) -> ApplicationDetail | None:
        """Return the application with the id or the name ``key``.

        Args:
            key: a ULID or a name; no name is shaped like a ULID.
            lock: keep others from changing it, or from adding configurations to it, until
                the transaction ends.
        """
        if "\0" in key:  # cannot be stored, so cannot be there
            return None
        query, value = (_BY_ID, normalize_ulid(key)) if is_ulid(key) else (_BY_NAME, key)
        if lock:
            query += " FOR UPDATE OF applications"
        row = self._connection.execute(query.encode(), [value]).fetchone()
        if row is None:
            return None
        return ApplicationDetail(Application(*row[:-1]), tuple(row[-1]))

    def update(
        self, *, application_id: str, name: str, comments: str | None, moment: datetime
    ) -> Application:
        """Replace what can be changed of an application that exists (see :meth:`insert`).

        Raises:
            ConflictError: the name is taken.
        """
        row = self._write(
            f"""
            UPDATE applications
            SET name = %s, comments = %s, updated_at = %s
            WHERE id = %s
            RETURNING {_COLUMNS}
            """,  # noqa: S608
            [name, comments, moment, application_id],
            application_id=application_id,
            name=name,
        )
        return Application(*row)

    def identify(self, key: str) -> str | None:
        """Return the id of the application with the id or the name ``key``."""
        if "\0" in key:
            return None
        query, value = (_ID_BY_ID, normalize_ulid(key)) if is_ulid(key) else (_ID_BY_NAME, key)
        row = self._connection.execute(query, [value]).fetchone()
        return None if row is None else str(row[0])

    def lock(self, application_id: str) -> bool:
        """Keep the application from being deleted or changed until the transaction ends.

        Returns:
            Whether there is such an application.
        """
        row = self._connection.execute(
            "SELECT id FROM applications WHERE id = %s FOR UPDATE", [application_id]
        ).fetchone()
        return row is not None

    def delete(self, application_id: str) -> None:
        """Remove an application and, by cascade, its configurations."""
        self._connection.execute("DELETE FROM applications WHERE id = %s", [application_id])

    def page(
        self, request: PageRequest, *, name: str | None = None, text: str | None = None
    ) -> Page[Application]:
        """List applications.

        Args:
            request: which part, in which order.
            name: only the one with this name.
            text: only those whose name or comments contain this, in whichever case.
        """
        filters = by_name(name, text)
        return fetch_page(
            self._connection,
            table="applications",
            columns=SQL(_COLUMNS),
            filters=filters,
            request=request,
            make=Application,
            known_total=None
            if filters
            else (SQL("entity = 'application' AND application_id = %s"), [""]),
        )

    def _write(
        self, query: str, parameters: list[object], *, application_id: str, name: str
    ) -> tuple[Any, ...]:
        try:
            row = self._connection.execute(query.encode(), parameters).fetchone()
        except UniqueViolation as error:
            if error.diag.constraint_name == "applications_name_key":
                raise ConflictError(entity="application", field="name", value=name) from None
            raise ConflictError(entity="application", field="id", value=application_id) from None
        assert row is not None  # noqa: S101 - the row is locked or new
        return row
