"""Table ``tokens``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.access.grants import Scope
from configsvc_server.domain.access.tokens import Token, TokenUse
from configsvc_server.domain.errors import ConflictError
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.grants import within
from configsvc_server.repositories.pages import Condition, count_rows, fetch_page
from configsvc_server.repositories.timing import timed

__all__ = ["KnownSecret", "TokenRepository"]

_COLUMNS = (
    "id, name, hint, created_at, created_by, expires_at, rotated_at, previous_expires_at, "
    "last_used_at, last_used_address, last_used_client"
)


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """Token that a secret belongs to."""

    token: Token
    is_previous: bool
    """Whether it is the secret before the last rotation."""


@timed("tokens")
class TokenRepository:
    """Reads and writes tokens over one connection; writers hold the write lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self,
        *,
        token_id: str,
        name: str,
        secret_hash: bytes,
        hint: str,
        expires_at: datetime | None,
        created_by: str,
        timestamp: datetime,
    ) -> Token:
        """Add a token.

        Raises:
            ConflictError: the name is taken.
        """
        try:
            row = self._connection.execute(
                f"""
                INSERT INTO tokens (
                    id, name, secret_hash, hint, created_at, created_by, expires_at
                )
                VALUES (%s, %s, %s, %s, %s, %s, %s)
                RETURNING {_COLUMNS}
                """.encode(),  # noqa: S608
                [token_id, name, secret_hash, hint, timestamp, created_by, expires_at],
            ).fetchone()
        except UniqueViolation:
            raise ConflictError(entity="token", field="name", value=name) from None
        assert row is not None  # noqa: S101 - it was inserted
        return Token(*row)

    def find(self, token_id: str) -> Token | None:
        """Return one token."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM tokens WHERE id = %s".encode(),  # noqa: S608
            [token_id],
        ).fetchone()
        return None if row is None else Token(*row)

    def find_by_hash(self, secret_hash: bytes) -> KnownSecret | None:
        """Return the token that a secret belongs to, or belonged to before its last rotation."""
        row = self._connection.execute(
            f"""
            SELECT {_COLUMNS}, secret_hash <> %s
            FROM tokens
            WHERE secret_hash = %s OR previous_hash = %s
            """.encode(),  # noqa: S608
            [secret_hash, secret_hash, secret_hash],
        ).fetchone()
        return None if row is None else KnownSecret(Token(*row[:-1]), is_previous=row[-1])

    def rotate(
        self,
        token_id: str,
        *,
        secret_hash: bytes,
        hint: str,
        previous_expires_at: datetime,
        expires_at: datetime | None,
        timestamp: datetime,
    ) -> Token:
        """Give a token that exists a new secret; the one before works on for a while."""
        row = self._connection.execute(
            f"""
            UPDATE tokens
            SET previous_hash = secret_hash, previous_expires_at = %s, secret_hash = %s,
                hint = %s, expires_at = %s, rotated_at = %s
            WHERE id = %s
            RETURNING {_COLUMNS}
            """.encode(),  # noqa: S608
            [previous_expires_at, secret_hash, hint, expires_at, timestamp, token_id],
        ).fetchone()
        assert row is not None  # noqa: S101 - the write lock is held
        return Token(*row)

    def delete(self, token_id: str) -> None:
        """Remove a token."""
        self._connection.execute("DELETE FROM tokens WHERE id = %s", [token_id])

    def count(self) -> int:
        """Return how many there are."""
        row = self._connection.execute("SELECT count(*) FROM tokens").fetchone()
        return int(row[0]) if row else 0

    def has_admin(self) -> bool:
        """Return whether anybody has been made an admin of the installation."""
        row = self._connection.execute(
            "SELECT EXISTS (SELECT FROM grants WHERE role = 'admin' AND application_id IS NULL)"
        ).fetchone()
        return bool(row and row[0])

    def record_uses(self, uses: Sequence[TokenUse]) -> None:
        """Write the last use of some tokens, where it is later than what is there."""
        self._connection.execute(
            """
            UPDATE tokens
            SET last_used_at = used.at, last_used_address = used.address,
                last_used_client = used.client
            FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::text[])
                AS used (id, at, address, client)
            WHERE tokens.id = used.id
                AND (tokens.last_used_at IS NULL OR tokens.last_used_at < used.at)
            """,
            [
                [use.token_id for use in uses],
                [use.at for use in uses],
                [use.address for use in uses],
                [use.client for use in uses],
            ],
        )

    def page(
        self, request: PageRequest, *, only: str | None, scopes: Sequence[Scope] | None
    ) -> Page[Token]:
        """Return one page of tokens.

        Args:
            request: which part, in which order.
            only: besides those of ``scopes``, the one with this id.
            scopes: those that have grants, and all of them within these; ``None`` for all tokens.
        """
        conditions: list[Condition] = []
        if scopes is not None:
            inside, values = within(scopes)
            # A grant on everything has no application, and is inside of nothing.
            condition = SQL(
                "(id = %s OR (EXISTS ("
                "SELECT FROM grants WHERE principal = 'token:' || tokens.id"
                ") AND NOT EXISTS ("
                "SELECT FROM grants WHERE principal = 'token:' || tokens.id "
                "AND {} IS NOT TRUE)))"
            ).format(inside)
            conditions.append((condition, [only, *values]))
        return fetch_page(
            self._connection,
            table="tokens",
            columns=SQL(_COLUMNS),
            conditions=conditions,
            request=request,
            make=Token,
            total=count_rows("tokens", conditions),
        )
