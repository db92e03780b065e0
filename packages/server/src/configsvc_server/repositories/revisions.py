"""Table ``revisions``: every version of every configuration; immutable."""

from collections.abc import Sequence

from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.models import Revision
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import fetch_page, qualified
from configsvc_server.repositories.timing import timed

__all__ = ["RevisionRepository"]

_COLUMNS = (
    "configuration_id, version, application_id, name, comments, config, overlays, schema, digest, "
    "author, message, created_at"
)

_NEWEST_VERSION = SQL("SELECT coalesce(max(version), 0) FROM revisions WHERE configuration_id = %s")


@timed("revisions")
class RevisionRepository:
    """Reads revisions over one connection; they are written with their configuration."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, configuration_id: str, version: int | None = None) -> Revision | None:
        """Return one revision, the newest one by default.

        Args:
            configuration_id: a ULID in upper case.
            version: which one.
        """
        row = self._connection.execute(
            f"""
            SELECT {_COLUMNS}
            FROM revisions
            WHERE configuration_id = %(id)s
                AND version = coalesce(
                    %(version)s,
                    (SELECT max(version) FROM revisions WHERE configuration_id = %(id)s)
                )
            """.encode(),  # noqa: S608
            {"id": configuration_id, "version": version},
        ).fetchone()
        return None if row is None else Revision(*row)

    def find_all(
        self, keys: Sequence[tuple[str, int]], *, only_with_schema: bool = False
    ) -> dict[tuple[str, int], Revision]:
        """Return the revisions with these configuration ids and versions.

        Args:
            keys: which ones.
            only_with_schema: leave out what no schema binds.
        """
        rows = self._connection.execute(
            f"""
            SELECT {qualified("revisions", _COLUMNS)}
            FROM unnest(%s::text[], %s::bigint[]) AS wanted (configuration_id, version)
            JOIN revisions USING (configuration_id, version)
            WHERE revisions.schema IS NOT NULL OR NOT %s
            """.encode(),  # noqa: S608
            [[key[0] for key in keys], [key[1] for key in keys], only_with_schema],
        )
        revisions = [Revision(*row) for row in rows]
        return {(revision.configuration_id, revision.version): revision for revision in revisions}

    def newest_version(self, configuration_id: str) -> int:
        """Return the version that was written last, 0 where there is none."""
        row = self._connection.execute(_NEWEST_VERSION, [configuration_id]).fetchone()
        return int(row[0]) if row else 0

    def newest(self, configuration_id: str) -> tuple[int, str] | None:
        """Return the version that was written last, and the application that it belongs to."""
        row = self._connection.execute(
            """
            SELECT version, application_id
            FROM revisions
            WHERE configuration_id = %s
            ORDER BY version DESC
            LIMIT 1
            """,
            [configuration_id],
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def page(self, configuration_id: str, request: PageRequest) -> Page[Revision]:
        """Return one page of the revisions of a configuration."""
        return fetch_page(
            self._connection,
            table="revisions",
            columns=SQL(_COLUMNS),
            conditions=[(SQL("configuration_id = %s"), [configuration_id])],
            request=request,
            make=Revision,
            documents=("configuration_id", "version"),
            # Versions have no gaps.
            total=(_NEWEST_VERSION, [configuration_id]),
        )
