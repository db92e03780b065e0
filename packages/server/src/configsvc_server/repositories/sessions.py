"""Table ``sessions``; the end of one is its deletion, of which a trigger tells every server."""

import json
from collections.abc import Sequence
from datetime import datetime

from psycopg.sql import SQL
from psycopg.types.json import Json

from configsvc_server.db.connections import Connection
from configsvc_server.domain.access.sessions import StoredSession
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import Condition, count_rows, fetch_page
from configsvc_server.repositories.timing import timed

__all__ = ["SessionRepository"]

_COLUMNS = (
    "id, principal, issuer, groups, claims::text, token_id, token_hash, created_at, last_seen_at, "
    "expires_at, address, user_agent"
)


@timed("sessions")
class SessionRepository:
    """Reads and writes sessions over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, session: StoredSession, *, secret_hash: bytes) -> None:
        """Add a session."""
        self._connection.execute(
            """
            INSERT INTO sessions (
                id, secret_hash, principal, issuer, groups, claims, token_id, token_hash,
                created_at, last_seen_at, expires_at, address, user_agent
            )
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                session.id,
                secret_hash,
                session.principal,
                session.issuer,
                list(session.groups),
                Json(dict(session.claims)),
                session.token_id,
                session.token_hash,
                session.created_at,
                session.last_seen_at,
                session.expires_at,
                session.address,
                session.user_agent,
            ],
        )

    def find(self, secret_hash: bytes) -> StoredSession | None:
        """Return the session of a secret."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM sessions WHERE secret_hash = %s".encode(),  # noqa: S608
            [secret_hash],
        ).fetchone()
        return None if row is None else _session(*row)

    def page(
        self, request: PageRequest, *, principal: str | None, used_after: datetime, now: datetime
    ) -> Page[StoredSession]:
        """Return one page of the sessions that have not ended.

        Args:
            request: which part, in which order.
            principal: only those of this one.
            used_after: only those that were used since.
            now: only those that end later.
        """
        conditions: list[Condition] = [
            (SQL("expires_at > %s"), [now]),
            (SQL("last_seen_at > %s"), [used_after]),
        ]
        if principal is not None:
            conditions.append((SQL("principal = %s"), [principal]))
        return fetch_page(
            self._connection,
            table="sessions",
            columns=SQL(_COLUMNS),
            conditions=conditions,
            request=request,
            make=_session,
            total=count_rows("sessions", conditions),
        )

    def touch(
        self, session_id: str, *, at: datetime, address: str | None, user_agent: str | None
    ) -> None:
        """Record that a session was used."""
        self._connection.execute(
            """
            UPDATE sessions SET last_seen_at = greatest(last_seen_at, %s),
                address = coalesce(%s, address), user_agent = coalesce(%s, user_agent)
            WHERE id = %s
            """,
            [at, address, user_agent, session_id],
        )

    def delete(
        self, session_id: str, *, principal: str | None = None
    ) -> tuple[StoredSession, bytes] | None:
        """End a session; return it and the hash of its secret, ``None`` where there was none.

        Args:
            session_id: its id.
            principal: only if it is of this one.
        """
        row = self._connection.execute(
            f"""
            DELETE FROM sessions WHERE id = %s AND (%s::text IS NULL OR principal = %s)
            RETURNING {_COLUMNS}, secret_hash
            """.encode(),  # noqa: S608
            [session_id, principal, principal],
        ).fetchone()
        return None if row is None else (_session(*row[:-1]), bytes(row[-1]))

    def delete_by_secret(self, secret_hash: bytes) -> StoredSession | None:
        """End the session of a secret, and return it if there was one."""
        row = self._connection.execute(
            f"DELETE FROM sessions WHERE secret_hash = %s RETURNING {_COLUMNS}".encode(),  # noqa: S608
            [secret_hash],
        ).fetchone()
        return None if row is None else _session(*row)

    def delete_surplus(self, principal: str, *, kept: int) -> list[str]:
        """End the oldest sessions of a principal, and return their ids.

        Args:
            principal: of whom.
            kept: how many may stay.
        """
        rows = self._connection.execute(
            """
            DELETE FROM sessions WHERE id IN (
                SELECT id FROM sessions WHERE principal = %s ORDER BY id DESC OFFSET %s
            )
            RETURNING id
            """,
            [principal, kept],
        )
        return sorted(session_id for (session_id,) in rows)

    def delete_over(self, *, now: datetime, used_after: datetime, limit: int) -> None:
        """Remove some of the sessions that are over.

        Args:
            now: those that end before are over.
            used_after: those that were not used since are over.
            limit: how many at once.
        """
        self._connection.execute(
            """
            DELETE FROM sessions WHERE id IN (
                SELECT id FROM sessions WHERE expires_at <= %s OR last_seen_at <= %s
                ORDER BY expires_at LIMIT %s
            )
            """,
            [now, used_after, limit],
        )


def _session(
    session_id: str,
    principal: str,
    issuer: str | None,
    groups: Sequence[str],
    claims: str,
    token_id: str | None,
    token_hash: bytes | None,
    created_at: datetime,
    last_seen_at: datetime,
    expires_at: datetime,
    address: str,
    user_agent: str | None,
) -> StoredSession:
    return StoredSession(
        session_id,
        principal,
        issuer,
        tuple(groups),
        json.loads(claims),
        token_id,
        None if token_hash is None else bytes(token_hash),
        created_at,
        last_seen_at,
        expires_at,
        address,
        user_agent,
    )
