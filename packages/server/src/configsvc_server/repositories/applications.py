"""Table ``applications``."""

from collections.abc import Collection
from datetime import datetime

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.access.grants import Access
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
from configsvc_server.repositories.timing import timed

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

# As those see it who may read some of its environments alone: nothing of it changes when
# something else changes.
_PART_COLUMNS = """
    id, name, comments, created_at, updated_at,
    (
        SELECT coalesce(max(changes.id), 0)
        FROM changes
        WHERE changes.application_id = applications.id
            AND (
                changes.entity = 'application'
                OR (changes.environments && %(environments)s AND changes.entity <> 'environment')
            )
    )
"""

_PART = f"""
    SELECT {_PART_COLUMNS},
           ARRAY(
               SELECT DISTINCT served_versions.configuration_id
               FROM served_versions
               WHERE served_versions.application_id = applications.id
                   AND served_versions.environment = ANY (%(environments)s)
               ORDER BY served_versions.configuration_id
           )
    FROM applications
    WHERE id = %(id)s
"""  # noqa: S608

_BY_ID = _DETAIL.format("id")
_BY_NAME = _DETAIL.format("name")

_ID_BY_ID = b"SELECT id FROM applications WHERE id = %s"
_ID_BY_NAME = b"SELECT id FROM applications WHERE name = %s"


@timed("applications")
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

    def find(
        self, key: str, environments: Collection[str] | None = None
    ) -> ApplicationDetail | None:
        """Return the application with the id or the name ``key``.

        Args:
            key: a ULID or a name; no name is shaped like a ULID.
            environments: show only what these serve, for who may read nothing else; needs the
                id. ``None`` for all of it.
        """
        if not is_storable(key):
            return None
        if environments is not None:
            row = self._connection.execute(
                _PART.encode(), {"id": normalize_ulid(key), "environments": sorted(environments)}
            ).fetchone()
            return (
                None if row is None else ApplicationDetail(Application(*row[:-1]), tuple(row[-1]))
            )
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
        self,
        request: PageRequest,
        *,
        access: Access,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Application]:
        """Return one page of applications.

        Args:
            request: which part, in which order.
            access: only those that it lets read, or environments of them.
            name: only the one with this name.
            text: only those whose name or comments contain this, case-insensitively.

        Raises:
            InvalidError: to look for the text takes too long.
        """
        conditions = name_conditions(name, text)
        if not access.reads_everything:
            ids = [application_id for application_id, _ in access.applications]
            parts = [application_id for application_id, _ in access.environments]
            conditions.append((SQL("id = ANY (%s)"), [[*ids, *parts]]))
        total = count_rows("applications", conditions) if conditions else None
        with search(self._connection, text):
            page = fetch_page(
                self._connection,
                table="applications",
                columns=SQL(_COLUMNS),
                conditions=conditions,
                request=request,
                make=Application,
                total=total or stored_total("application"),
            )
        return page.of([self._part(item, access) for item in page.items])

    def _part(self, application: Application, access: Access) -> Application:
        """Return an application as the list shows it to who may read some environments alone."""
        environments = access.readable_environments(application.id)
        if environments is None:
            return application
        detail = self.find(application.id, environments)
        return application if detail is None else detail.application

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
