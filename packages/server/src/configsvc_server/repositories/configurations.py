"""Table ``configurations``; every write brings its revision, releases and change with it."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import SerializationFailure, UniqueViolation
from psycopg.sql import SQL
from psycopg.types.json import Json

from configsvc_server.db.connections import Connection
from configsvc_server.domain.access.grants import Access
from configsvc_server.domain.digest import document_digest
from configsvc_server.domain.errors import ConflictError, NotFoundError, StaleError
from configsvc_server.domain.models import (
    Action,
    Change,
    Configuration,
    ConfigurationDocument,
    Provenance,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.domain.schema.defaults import schema_defaults
from configsvc_server.domain.schema.secrets import schema_secrets
from configsvc_server.domain.strict_json import dumps
from configsvc_server.repositories.bounds import explained_bounds
from configsvc_server.repositories.changes import note_changes
from configsvc_server.repositories.configuration_writes import INSERT, UPDATE
from configsvc_server.repositories.pages import (
    count_rows,
    fetch_page,
    name_conditions,
    search,
    stored_total,
)
from configsvc_server.repositories.timing import timed

__all__ = ["ConfigurationRepository", "NameTakenInEnvironmentError", "WrittenConfiguration"]

_COLUMNS = (
    "id, application_id, name, comments, config, overlays, schema, version, created_at, "
    "updated_at, updated_by"
)

_GET = f"SELECT {_COLUMNS} FROM configurations WHERE id = %s"  # noqa: S608


class NameTakenInEnvironmentError(Exception):
    """An environment with ``auto_release`` serves another configuration under the name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        """The name."""


@dataclass(frozen=True, slots=True)
class WrittenConfiguration:
    """Configuration as it was just written."""

    configuration: Configuration
    """As it is now."""
    environments: tuple[str, ...]
    """Names of those that serve the new version at once."""


@timed("configurations")
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
        provenance: Provenance,
        action: Action = "create",
        source_version: int | None = None,
        created_at: datetime | None = None,
        observed_change_id: int | None = None,
    ) -> WrittenConfiguration:
        """Add a configuration with its revision, releases and change.

        An id that was used before continues the numbering of its revisions, so that no
        version ever stands for two documents.

        Args:
            configuration_id: a ULID in upper case.
            application_id: a ULID in upper case.
            document: its members.
            provenance: author, request and message.
            action: the action of the change.
            source_version: the version whose content it has, if an earlier one.
            created_at: the time of its first creation, if it was deleted since.
            observed_change_id: the last change when what the document was checked against was
                read.

        Raises:
            ConflictError: the id, or the name within the application, is taken.
            NotFoundError: there is no such application.
            NameTakenInEnvironmentError: an environment serves another configuration under
                this name.
            StaleError: what the document was checked against has changed since.
            StateError: the application has as many as it may have, or an environment would
                serve more than fits into one snapshot.
        """
        written = self._write(
            INSERT,
            {
                **_parameters(action, document, provenance, source_version, observed_change_id),
                "id": configuration_id,
                "application_id": application_id,
                "created_at": created_at,
            },
            action,
            provenance,
        )
        if written is None:
            raise NotFoundError("application", application_id)
        return written

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
        provenance: Provenance,
        action: Action = "update",
        source_version: int | None = None,
        application_id: str | None = None,
        if_version: frozenset[int] | None = None,
        observed_change_id: int | None = None,
    ) -> WrittenConfiguration | None:
        """Write the next version of a configuration with its revision, releases and change.

        Args:
            configuration_id: a ULID in upper case.
            document: the whole new document.
            provenance: author, request and message.
            action: the action of the change.
            source_version: the version whose content it has, if an earlier one.
            application_id: write only if it belongs to this application.
            if_version: write only if it is at one of these versions.
            observed_change_id: the last change when what the document was checked against was
                read.

        Returns:
            The configuration as it is now; ``None`` where nothing was written, because there
            is no such configuration or a condition does not hold.

        Raises:
            ConflictError: the name is taken within the application.
            NameTakenInEnvironmentError: an environment serves another configuration under
                this name.
            StaleError: what the document was checked against has changed since.
            SnapshotTooLargeError: an environment would serve more than fits into one snapshot.
        """
        return self._write(
            UPDATE,
            {
                **_parameters(action, document, provenance, source_version, observed_change_id),
                "id": configuration_id,
                "application_id": application_id,
                "if_version": None if if_version is None else list(if_version),
            },
            action,
            provenance,
        )

    def delete(self, configuration_id: str) -> None:
        """Remove a configuration; its revisions stay."""
        self._connection.execute("DELETE FROM configurations WHERE id = %s", [configuration_id])

    def lock_all_of(self, application_id: str) -> None:
        """Keep others from changing the configurations of an application."""
        self._connection.execute(
            "SELECT FROM configurations WHERE application_id = %s ORDER BY id FOR UPDATE",
            [application_id],
        )

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

    def size_of(self, application_id: str) -> int:
        """Return how many bytes the documents of an application have in all."""
        row = self._connection.execute(
            "SELECT coalesce(sum(size), 0) FROM configurations WHERE application_id = %s",
            [application_id],
        ).fetchone()
        return int(row[0]) if row else 0

    def newest_of(self, application_id: str) -> list[Configuration]:
        """Return the configurations of an application, oldest first."""
        rows = self._connection.execute(
            f"""
            SELECT {_COLUMNS}
            FROM configurations
            WHERE application_id = %s
            ORDER BY id
            """.encode(),  # noqa: S608
            [application_id],
        )
        return [Configuration(*row) for row in rows]

    def page(
        self,
        request: PageRequest,
        *,
        access: Access,
        application_id: str | None = None,
        name: str | None = None,
        text: str | None = None,
    ) -> Page[Configuration]:
        """Return one page of configurations.

        Args:
            request: which part, in which order.
            access: only those of applications that it lets read as a whole.
            application_id: only those of this application.
            name: only those with this name.
            text: only those whose name or comments contain this, case-insensitively.

        Raises:
            InvalidError: to look for the text takes too long.
        """
        conditions = name_conditions(name, text)
        if not access.reads_everything:
            ids = [readable for readable, _ in access.applications]
            conditions.append((SQL("application_id = ANY (%s)"), [ids]))
        is_counted = not conditions
        if application_id is not None:
            conditions.append((SQL("application_id = %s"), [application_id]))
        with search(self._connection, text):
            return fetch_page(
                self._connection,
                table="configurations",
                columns=SQL(_COLUMNS),
                conditions=conditions,
                request=request,
                make=Configuration,
                documents=("id",),
                total=stored_total("configuration", application_id or "")
                if is_counted
                else count_rows("configurations", conditions),
            )

    def _write(
        self,
        query: bytes,
        parameters: dict[str, object],
        action: Action,
        provenance: Provenance,
    ) -> WrittenConfiguration | None:
        try:
            with explained_bounds():
                row = self._connection.execute(query, parameters).fetchone()
        except UniqueViolation as error:
            constraint = error.diag.constraint_name
            if constraint == "served_versions_name_key":
                # It aborts the statement, so who serves it has to be found out by another.
                raise NameTakenInEnvironmentError(str(parameters["name"])) from None
            is_id = constraint in {"configurations_pkey", "revisions_pkey"}
            field = "id" if is_id else "name"
            value = str(parameters[field])
            raise ConflictError(entity="configuration", field=field, value=value) from None
        except SerializationFailure:
            raise StaleError from None
        if row is None:
            return None
        written = WrittenConfiguration(Configuration(*row[:-1]), tuple(row[-1]))
        note_changes(self._connection, _change(written, action, provenance))
        return written


def _change(written: WrittenConfiguration, action: Action, provenance: Provenance) -> Change:
    """Return what the statement has added to the audit trail, as far as the log tells of it."""
    configuration = written.configuration
    return Change(
        action,
        "configuration",
        configuration.application_id,
        configuration.id,
        configuration.name,
        configuration.version,
        provenance,
        environments=written.environments,
    )


def _parameters(
    action: Action,
    document: ConfigurationDocument,
    provenance: Provenance,
    source_version: int | None,
    observed_change_id: int | None,
) -> dict[str, object]:
    schema = document.schema
    defaults = {} if schema is None else schema_defaults(schema)
    secrets = [] if schema is None else schema_secrets(schema)
    return {
        "action": action,
        "name": document.name,
        "comments": document.comments,
        "config": Json(document.config, dumps=dumps),
        "overlays": Json(document.overlays, dumps=dumps),
        "schema": None if schema is None else Json(schema, dumps=dumps),
        "defaults": Json(defaults, dumps=dumps) if defaults else None,
        "secrets": Json(secrets, dumps=dumps) if secrets else None,
        "digest": document_digest(document),
        "actor": provenance.actor,
        "request_id": provenance.request_id,
        "message": provenance.message,
        "source_version": source_version,
        "observed_change_id": observed_change_id,
    }
