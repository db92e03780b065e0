"""The table ``configurations``."""

from typing import Any

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from configsvc_server.db.database import Connection
from configsvc_server.domain.errors import ConflictError, NotFoundError
from configsvc_server.domain.jsontext import JsonObject, dumps_exact
from configsvc_server.domain.models import Configuration
from configsvc_server.domain.pages import Cursor, Page, PageRequest, Sort
from configsvc_server.repositories.paging import Filter, contains, fetch_page

__all__ = ["ConfigurationRepository"]

_COLUMNS = "id, application_id, name, comments, config, version, created_at, updated_at, updated_by"

_GET = f"SELECT {_COLUMNS} FROM configurations WHERE id = %s"  # noqa: S608


class ConfigurationRepository:
    """Reads and writes configurations over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self,
        *,
        configuration_id: str,
        application_id: str,
        name: str,
        comments: str | None,
        config: JsonObject,
        author: str,
    ) -> Configuration:
        """Add a configuration.

        An id that was used before continues the numbering of its revisions, so that no
        version ever stands for two documents.

        Raises:
            ConflictError: the id, or the name within the application, is taken.
            NotFoundError: there is no such application.
        """
        row = self._write(
            f"""
            INSERT INTO configurations ({_COLUMNS})
            VALUES (
                %(id)s, %(application_id)s, %(name)s, %(comments)s, %(config)s,
                1 + coalesce(
                    (SELECT max(version) FROM revisions WHERE configuration_id = %(id)s), 0
                ),
                now(), now(), %(author)s
            )
            RETURNING {_COLUMNS}
            """,  # noqa: S608
            {
                "id": configuration_id,
                "application_id": application_id,
                "name": name,
                "comments": comments,
                "config": Jsonb(config, dumps=dumps_exact),
                "author": author,
            },
        )
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
        name: str,
        comments: str | None,
        config: JsonObject,
        author: str,
    ) -> Configuration:
        """Replace the document of a configuration that exists, as its next version.

        Raises:
            ConflictError: the name is taken within the application.
        """
        row = self._write(
            f"""
            UPDATE configurations
            SET name = %(name)s,
                comments = %(comments)s,
                config = %(config)s,
                version = version + 1,
                updated_at = greatest(now(), updated_at),
                updated_by = %(author)s
            WHERE id = %(id)s
            RETURNING {_COLUMNS}
            """,  # noqa: S608
            {
                "id": configuration_id,
                "name": name,
                "comments": comments,
                "config": Jsonb(config, dumps=dumps_exact),
                "author": author,
            },
        )
        return Configuration(*row)

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
        filters: list[Filter] = []
        if application_id is not None:
            filters.append((SQL("application_id = %s"), [application_id]))
        if name is not None:
            filters.append((SQL("name = %s"), [name]))
        if text is not None:
            filters.append(contains(text))
        return fetch_page(
            self._connection,
            table="configurations",
            columns=SQL(_COLUMNS),
            filters=filters,
            request=request,
            make=Configuration,
            cursor_of=_cursor,
        )

    def _write(self, query: str, parameters: dict[str, object]) -> tuple[Any, ...]:
        try:
            row = self._connection.execute(query.encode(), parameters).fetchone()
        except UniqueViolation as error:
            field = "id" if error.diag.constraint_name == "configurations_pkey" else "name"
            value = str(parameters[field])
            raise ConflictError(entity="configuration", field=field, value=value) from None
        except ForeignKeyViolation:
            raise NotFoundError("application", str(parameters["application_id"])) from None
        assert row is not None  # noqa: S101 - the row is locked or new
        return row


def _cursor(item: Configuration, sort: Sort) -> Cursor:
    values = {"id": item.id, "name": item.name, "updated_at": item.updated_at.isoformat()}
    return Cursor(sort, values[sort.field], item.id)
