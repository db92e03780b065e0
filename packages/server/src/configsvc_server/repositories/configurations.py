"""The table ``configurations``."""

from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from configsvc_server.db.database import Connection
from configsvc_server.domain.errors import ConflictError, NotFoundError
from configsvc_server.domain.jsontext import dumps_exact
from configsvc_server.domain.models import (
    DEFAULT_ENVIRONMENT,
    Action,
    Configuration,
    ConfigurationDocument,
    Provenance,
    Snapshot,
    SnapshotEntry,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.changes import FEED_LOCK
from configsvc_server.repositories.paging import by_name, fetch_page

__all__ = ["ConfigurationRepository"]

_COLUMNS = "id, application_id, name, comments, config, version, created_at, updated_at, updated_by"

_GET = f"SELECT {_COLUMNS} FROM configurations WHERE id = %s"  # noqa: S608

# The text of the object goes to clients as it is: no need to read and write it again.
_SNAPSHOT = b"""
    SELECT applications.name, configurations.name, configurations.id, configurations.version,
           configurations.updated_at, configurations.config::text
    FROM applications
    LEFT JOIN configurations ON configurations.application_id = applications.id
    WHERE applications.id = %s
    ORDER BY configurations.name
"""

# A write is one statement that can't forget its history, and one round trip. The advisory
# lock is taken once the row is written, and the id of the change once the lock is held: the
# joins leave PostgreSQL no other order.
_HISTORY = f"""
    revised AS (
        INSERT INTO revisions (
            configuration_id, version, application_id, name, comments, config, digest, author,
            message, created_at
        )
        SELECT id, version, application_id, name, comments, config, %(digest)s, %(actor)s,
               %(message)s, updated_at
        FROM written
    ),
    ordered AS MATERIALIZED (
        SELECT pg_advisory_xact_lock({FEED_LOCK}) FROM written
    ),
    changed AS (
        INSERT INTO changes (
            action, entity, application_id, configuration_id, name, version, actor, request_id,
            message, created_at
        )
        SELECT %(action)s, 'configuration', application_id, id, name, version, %(actor)s,
               %(request_id)s, %(message)s, now()
        FROM written CROSS JOIN ordered
    )
    SELECT {_COLUMNS} FROM written
"""  # noqa: S608

_INSERT = f"""
    WITH parent AS (
        -- The foreign key would lock this row too, but only after the feed: a deadlock with
        -- whoever deletes the application.
        SELECT id FROM applications WHERE id = %(application_id)s FOR KEY SHARE
    ),
    written AS (
        INSERT INTO configurations ({_COLUMNS})
        SELECT
            %(id)s, parent.id, %(name)s, %(comments)s, %(config)s,
            1 + coalesce(
                (SELECT max(version) FROM revisions WHERE configuration_id = %(id)s), 0
            ),
            now(), now(), %(actor)s
        FROM parent
        RETURNING {_COLUMNS}
    ),
    {_HISTORY}
""".encode()  # noqa: S608

_UPDATE = f"""
    WITH written AS (
        UPDATE configurations
        SET name = %(name)s,
            comments = %(comments)s,
            config = %(config)s,
            version = version + 1,
            updated_at = greatest(now(), updated_at),
            updated_by = %(actor)s
        WHERE id = %(id)s
            AND (%(application_id)s::text IS NULL OR application_id = %(application_id)s)
            AND (%(if_version)s::bigint[] IS NULL OR version = ANY (%(if_version)s))
        RETURNING {_COLUMNS}
    ),
    {_HISTORY}
""".encode()  # noqa: S608


class ConfigurationRepository:
    """Reads and writes configurations over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self,
        *,
        configuration_id: str,
        application_id: str,
        document: ConfigurationDocument,
        digest: str,
        provenance: Provenance,
    ) -> Configuration:
        """Add a configuration with its revision and its change.

        An id that was used before continues the numbering of its revisions, so that no
        version ever stands for two documents.

        Raises:
            ConflictError: the id, or the name within the application, is taken.
            NotFoundError: there is no such application.
        """
        row = self._write(
            _INSERT,
            {
                **_parameters("create", document, digest, provenance),
                "id": configuration_id,
                "application_id": application_id,
            },
        )
        if row is None:
            raise NotFoundError("application", application_id)
        return Configuration(*row)

    def find(self, configuration_id: str, *, lock: bool = False) -> Configuration | None:
        """Return one configuration.

        Args:
            configuration_id: a ULID in upper case.
            lock: keep others from changing it until the transaction ends.
        """
        query = f"{_GET} FOR UPDATE" if lock else _GET
        row = self._connection.execute(query.encode(), [configuration_id]).fetchone()
        return None if row is None else Configuration(*row)

    def update(
        self,
        *,
        configuration_id: str,
        document: ConfigurationDocument,
        digest: str,
        provenance: Provenance,
        application_id: str | None = None,
        if_version: frozenset[int] | None = None,
    ) -> Configuration | None:
        """Write the next version of a configuration with its revision and its change.

        Args:
            configuration_id: a ULID in upper case.
            document: the whole new document.
            digest: its digest.
            provenance: who does it and why.
            application_id: write only if it belongs to this application.
            if_version: write only if it is at one of these versions.

        Returns:
            The configuration as it is now; ``None`` where nothing was written, because there
            is no such configuration or a condition does not hold.

        Raises:
            ConflictError: the name is taken within the application.
        """
        row = self._write(
            _UPDATE,
            {
                **_parameters("update", document, digest, provenance),
                "id": configuration_id,
                "application_id": application_id,
                "if_version": None if if_version is None else list(if_version),
            },
        )
        return None if row is None else Configuration(*row)

    def delete(self, configuration_id: str) -> None:
        """Remove a configuration; its revisions stay."""
        self._connection.execute("DELETE FROM configurations WHERE id = %s", [configuration_id])

    def delete_all_of(self, application_id: str) -> list[tuple[str, str, int]]:
        """Remove the configurations of an application; return their id, name and version."""
        rows = self._connection.execute(
            """
            DELETE FROM configurations
            WHERE application_id = %s
            RETURNING id, name, version
            """,
            [application_id],
        ).fetchall()
        return sorted(rows)

    def snapshot(self, application_id: str) -> Snapshot | None:
        """Return every configuration of an application, or ``None`` without application."""
        rows = self._connection.execute(_SNAPSHOT, [application_id]).fetchall()
        if not rows:
            return None
        # An application without configurations is one row of nothing but its name.
        entries = tuple(SnapshotEntry(*row[1:]) for row in rows if row[1] is not None)
        return Snapshot(application_id, rows[0][0], DEFAULT_ENVIRONMENT, entries)

    def page(
        self,
        request: PageRequest,
        *,
        application_id: str | None = None,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Configuration]:
        """List configurations.

        Args:
            request: which part, in which order.
            application_id: only those of this application.
            name: only those with this name.
            text: only those whose name or comments contain this, in whichever case.
        """
        filters = by_name(name, text)
        if application_id is not None:
            filters.append((SQL("application_id = %s"), [application_id]))
        return fetch_page(
            self._connection,
            table="configurations",
            columns=SQL(_COLUMNS),
            filters=filters,
            request=request,
            make=Configuration,
        )

    def _write(self, query: bytes, parameters: dict[str, object]) -> tuple[Any, ...] | None:
        try:
            row = self._connection.execute(query, parameters).fetchone()
        except UniqueViolation as error:
            field = "id" if error.diag.constraint_name == "configurations_pkey" else "name"
            value = str(parameters[field])
            raise ConflictError(entity="configuration", field=field, value=value) from None
        return row


def _parameters(
    action: Action, document: ConfigurationDocument, digest: str, provenance: Provenance
) -> dict[str, object]:
    return {
        "action": action,
        "name": document.name,
        "comments": document.comments,
        "config": Jsonb(document.config, dumps=dumps_exact),
        "digest": digest,
        "actor": provenance.actor,
        "request_id": provenance.request_id,
        "message": provenance.message,
    }
