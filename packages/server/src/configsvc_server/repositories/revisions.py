"""The table ``revisions``: every version of every configuration, for ever."""

from configsvc_server.db.database import Connection
from configsvc_server.domain.models import Revision

__all__ = ["RevisionRepository"]

_COLUMNS = (
    "configuration_id, version, application_id, name, comments, config, digest, author, "
    "message, created_at"
)


class RevisionRepository:
    """Writes and reads revisions over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(
        self, *, configuration_id: str, digest: str, author: str, message: str | None
    ) -> None:
        """Keep the configuration as it is now as its revision.

        The document is copied from the row itself, so that the two can't differ.
        """
        self._connection.execute(
            f"""
            INSERT INTO revisions ({_COLUMNS})
            SELECT id, version, application_id, name, comments, config, %s, %s, %s, updated_at
            FROM configurations
            WHERE id = %s
            """.encode(),  # noqa: S608
            [digest, author, message, configuration_id],
        )

    def all_of(self, configuration_id: str) -> list[Revision]:
        """Return the revisions of a configuration, oldest first."""
        rows = self._connection.execute(
            f"""
            SELECT {_COLUMNS}
            FROM revisions
            WHERE configuration_id = %s
            ORDER BY version
            """.encode(),  # noqa: S608
            [configuration_id],
        )
        return [Revision(*row) for row in rows]
