"""Abandoned sessions: those of a server that has stopped in the middle of a write.

A server that is frozen, by a debugger or a paused virtual machine, keeps its connections. If it
was writing, it holds the write lock, and all other writers wait. PostgreSQL itself notices only
one that waits between two statements of a transaction: not one within a pipeline, from which it
expects more, nor one that does not read the result it has asked for. So every server looks for
such sessions of the others, and ends them.
"""

from datetime import datetime
from typing import TypeAlias

import structlog

from configsvc_server.db.connections import APPLICATION_NAME, Connection

__all__ = ["AbandonedSessions"]

_log = structlog.stdlib.get_logger(__name__)

_Session: TypeAlias = tuple[int, datetime]
"""Process id of the session, and when it began what it is doing."""

# It waits for its client, with a transaction open. Statements of a pipeline have one, too.
_WAITING_FOR_CLIENT = f"""
    FROM pg_stat_activity
    WHERE application_name = '{APPLICATION_NAME}'
        AND datname = current_database()
        AND usename = current_user
        AND wait_event_type = 'Client'
        AND xact_start IS NOT NULL
"""

_FIND = f"SELECT pid, state_change {_WAITING_FOR_CLIENT}".encode()

_END = f"""
    SELECT pid, pg_terminate_backend(pid)
    {_WAITING_FOR_CLIENT}
        AND (pid, state_change) IN (
            SELECT * FROM unnest(%s::integer[], %s::timestamptz[])
        )
""".encode()  # noqa: S608


class AbandonedSessions:
    """Ends the sessions that wait for the same thing each time that one looks."""

    def __init__(self) -> None:
        self._seen: frozenset[_Session] = frozenset()

    def end(self, connection: Connection) -> None:
        """End the sessions that were waiting for their client the last time already.

        A session of a server that works goes on between two calls, if they are a second apart.

        Args:
            connection: in autocommit mode.
        """
        found = frozenset(connection.execute(_FIND).fetchall())
        for pid, _ in self._end(connection, found & self._seen):
            _log.warning("session ended: its server has stopped within a write", session=pid)
        self._seen = found

    @staticmethod
    def _end(connection: Connection, sessions: frozenset[_Session]) -> list[tuple[int, bool]]:
        if not sessions:
            return []
        pids, since = zip(*sessions, strict=True)
        return connection.execute(_END, [list(pids), list(since)]).fetchall()
