"""Kept keys of issuers: what a server that starts during an outage of an issuer goes on with."""

from datetime import UTC, datetime, timedelta
from typing import Final

from configsvc_server.db.database import Database
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories

__all__ = ["IssuerKeyService"]

_MAX_AGE: Final = timedelta(days=1)


class IssuerKeyService:
    """Keeps what issuers have published last.

    Whoever could write to that table could have keys accepted; but whoever has the database may
    grant roles and make tokens, too, without any issuer.
    """

    def __init__(self, database: Database) -> None:
        """Create the service.

        Args:
            database: where it is kept.
        """
        self._database = database

    def load(self, issuer: str) -> JsonObject | None:
        """Return what an issuer has published last; ``None`` after more than a day.

        Args:
            issuer: its URL.

        Raises:
            UnavailableError: the database can't be reached.
        """
        with self._database.autocommit() as connection:
            return Repositories(connection).issuer_keys.find(
                issuer, since=datetime.now(UTC) - _MAX_AGE
            )

    def save(self, issuer: str, document: JsonObject, fetched_at: datetime) -> None:
        """Keep what an issuer has published.

        Args:
            issuer: its URL.
            document: public keys and addresses.
            fetched_at: when; something newer that is kept already stays.

        Raises:
            UnavailableError: the database can't be reached.
        """
        with self._database.write_statement() as connection:
            Repositories(connection).issuer_keys.save(issuer, document, fetched_at=fetched_at)
