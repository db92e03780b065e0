"""Table ``changes``: the audit trail and the change feed; and the write lock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.errors import SerializationFailure
from psycopg.sql import SQL
from psycopg.types.json import Json

from configsvc_server.db.connections import BoundedConnection, Connection
from configsvc_server.domain.access.grants import Access, Role
from configsvc_server.domain.errors import StaleError
from configsvc_server.domain.models import Change, ChangeFilter, Provenance
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import Condition, fetch_page
from configsvc_server.repositories.timing import timed

__all__ = ["ChangeRepository", "note_changes"]

_COLUMNS = (
    "id, action, entity, application_id, configuration_id, name, version, environments, "
    "previous_name, previous_version, source_version, actor, request_id, message, created_at, "
    "details"
)


def note_changes(connection: Connection, *changes: Change) -> None:
    """Have changes told of once they are committed."""
    if isinstance(connection, BoundedConnection):
        connection.wrote(*changes)


@timed("changes")
class ChangeRepository:
    """Writes and reads changes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last_id(self) -> int:
        """Return the id of the last change, 0 where there is none."""
        row = self._connection.execute("SELECT coalesce(max(id), 0) FROM changes").fetchone()
        return int(row[0]) if row else 0

    def last_timestamp(self) -> datetime | None:
        """Return the timestamp of the last change, ``None`` where there is none.

        Every later write has a later one, even if the clock is set back.
        """
        row = self._connection.execute(
            "SELECT created_at FROM changes ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return row[0] if row else None

    def acquire_write_lock(
        self,
        *,
        observed_change_id: int | None = None,
        application_id: str | None = None,
        configuration_id: str | None = None,
    ) -> datetime:
        """Wait for the write lock, which is held until the transaction ends.

        Rows that the write depends on have to be locked before, never after: a transaction that
        has locked a row may be waiting for the write lock.

        Args:
            observed_change_id: the last change when what the write depends on was read;
                ``None`` where nothing was.
            application_id: the application that it was read from.
            configuration_id: the configuration that it was read from; ``None`` for all.

        Returns:
            The timestamp of the write, later than that of every write before.

        Raises:
            StaleError: what the write depends on has changed since.
        """
        try:
            row = self._connection.execute(
                "SELECT configsvc_acquire_write_lock(%s, %s, %s)",
                [application_id, configuration_id, observed_change_id],
            ).fetchone()
        except SerializationFailure:
            raise StaleError from None
        assert row is not None  # noqa: S101 - a function without FROM gives one row
        timestamp: datetime = row[0]
        return timestamp

    def append(self, changes: Sequence[Change], *, timestamp: datetime) -> None:
        """Add changes; the writer holds the write lock, and has the timestamp from it."""
        note_changes(self._connection, *changes)
        with self._connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO changes (
                    action, entity, application_id, configuration_id, name, version,
                    environments, previous_name, previous_version, source_version,
                    actor, request_id, message, created_at, details
                )
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                [
                    (
                        change.action,
                        change.entity,
                        change.application_id,
                        change.configuration_id,
                        change.name,
                        change.version,
                        list(change.environments),
                        change.previous_name,
                        change.previous_version,
                        change.source_version,
                        change.provenance.actor,
                        change.provenance.request_id,
                        change.provenance.message,
                        timestamp,
                        None if change.details is None else Json(change.details),
                    )
                    for change in changes
                ],
            )

    def page(self, request: PageRequest, wanted: ChangeFilter) -> Page[Change]:
        """Return one page of the changes that pass a filter, in the order of their commits."""
        conditions: list[Condition] = []
        if wanted.application_id is not None:
            conditions.append((SQL("application_id = %s"), [wanted.application_id]))
        if wanted.configuration_id is not None:
            conditions.append((SQL("configuration_id = %s"), [wanted.configuration_id]))
        if wanted.actor is not None:
            conditions.append((SQL("actor = %s"), [wanted.actor]))
        if wanted.action is not None:
            conditions.append((SQL("action = %s"), [wanted.action]))
        if wanted.entity is not None:
            conditions.append((SQL("entity = %s"), [wanted.entity]))
        if wanted.environment is not None:
            conditions.append((SQL("%s = ANY (environments)"), [wanted.environment]))
        conditions += _readable(wanted.access)
        return fetch_page(
            self._connection,
            table="changes",
            columns=SQL(_COLUMNS),
            conditions=conditions,
            request=request,
            make=_change,
            # Matches may be rare, or all old: without it PostgreSQL may read all other changes.
            keys_first=wanted.action is not None or wanted.entity is not None,
        )


def _readable(access: Access) -> list[Condition]:
    if access.installation == Role.ADMIN:
        return []
    # Who has which rights is for those who administer them, and who signs in for those who
    # administer everything.
    administered = [app for app, role in access.applications if role >= Role.ADMIN]
    manners: Condition = (
        SQL("(entity NOT IN ('token', 'grant', 'session') OR application_id = ANY (%s))"),
        [administered],
    )
    if access.reads_everything:
        return [manners]
    parts = [SQL("application_id = ANY (%s)")]
    values: list[Any] = [[application_id for application_id, _ in access.applications]]
    for application_id, roles in access.environments:
        parts.append(SQL("(application_id = %s AND environments && %s)"))
        values += [application_id, [environment for environment, _ in roles]]
    return [manners, (SQL("({})").format(SQL(" OR ").join(parts)), values)]


def _change(*row: Any) -> Change:
    return Change(
        id=row[0],
        action=row[1],
        entity=row[2],
        application_id=row[3],
        configuration_id=row[4],
        name=row[5],
        version=row[6],
        environments=tuple(row[7]),
        previous_name=row[8],
        previous_version=row[9],
        source_version=row[10],
        provenance=Provenance(*row[11:14]),
        created_at=row[14],
        details=None if row[15] is None else dict(row[15]),
    )
