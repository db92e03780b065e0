"""Table ``issuer_keys``."""

from datetime import datetime

from psycopg.types.json import Json

from configsvc_server.db.connections import Connection
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories.timing import timed

__all__ = ["IssuerKeyRepository"]


@timed("issuer_keys")
class IssuerKeyRepository:
    """Reads and writes what issuers have published, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, issuer: str, *, since: datetime) -> JsonObject | None:
        """Return what an issuer has published last.

        Args:
            issuer: its URL.
            since: only if it was fetched after that.
        """
        row = self._connection.execute(
            "SELECT document FROM issuer_keys WHERE issuer = %s AND fetched_at > %s",
            [issuer, since],
        ).fetchone()
        return row[0] if row else None

    def save(self, issuer: str, document: JsonObject, *, fetched_at: datetime) -> None:
        """Keep what an issuer has published, unless something newer is kept already."""
        self._connection.execute(
            """
            INSERT INTO issuer_keys (issuer, document, fetched_at) VALUES (%s, %s, %s)
            ON CONFLICT ON CONSTRAINT issuer_keys_pkey
            DO UPDATE SET document = excluded.document, fetched_at = excluded.fetched_at
            WHERE issuer_keys.fetched_at < excluded.fetched_at
            """,
            [issuer, Json(document), fetched_at],
        )
