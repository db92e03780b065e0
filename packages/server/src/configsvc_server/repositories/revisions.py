"""The table ``revisions``: every version of every configuration, for ever."""

from configsvc_server.db.database import Connection
from configsvc_server.domain.models import Revision

__all__ = ["RevisionRepository"]

_COLUMNS = (
    "configuration_id, version, application_id, name, comments, config, digest, author, "
    "message, created_at"
)


class RevisionRepository:
    """Reads revisions over one connection; they are written with their configuration."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
