"""Connections with deadlines: nobody waits for an answer of the database without end.

A database may fall silent without closing its connections: a host that hangs, a proxy that
swallows what it is sent, a stopped process. Three bounds find that out. The operating system
gives up bytes that nobody acknowledges; PostgreSQL ends a statement that takes too long, and the
session of a client that has left a transaction open; and what neither can notice ends here, when
an answer is late: then the connection is closed, as nothing can be known about it any more.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from configsvc_server.domain.models import Change
from configsvc_server.telemetry.traces import Instrument

__all__ = [
    "APPLICATION_NAME",
    "BoundedConnection",
    "Connection",
    "LateAnswerError",
    "WorkLimits",
    "apply_settings",
    "configure",
    "watched_url",
]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

APPLICATION_NAME: Final = "configsvc"
"""How PostgreSQL lists the sessions that do the work of requests."""

_INTERVAL: Final = 0.1
"""Seconds after which a wait looks for signals."""

_ABANDONED_AFTER: Final = 3.0
"""Seconds after which PostgreSQL ends a session that does nothing in an open transaction. A server
that works leaves none open for longer than it takes to send the next statement."""


class LateAnswerError(psycopg.OperationalError):
    """The database has not answered in time; the connection is closed."""


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """Connection that is closed when an answer is late."""

    answer_timeout: float = 5.0
    """Seconds to wait for each answer."""

    on_query: Callable[[str, float], None] | None = None
    """Told of each call of a function of the repositories: its name, and how many seconds it
    took."""

    changes: Sequence[Change] = ()
    """What was written to the audit trail since the connection was taken; not yet committed."""

    deadline: float | None = None
    """When all answers have to be there, by ``time.monotonic``; ``None`` for no such time."""

    @classmethod
    def open(cls, url: str, *, answer_timeout: float, connect_timeout: float, name: str) -> Self:
        """Connect in autocommit mode, outside of any pool.

        Args:
            url: a libpq connection string or URI.
            answer_timeout: how long to wait for each answer, in seconds.
            connect_timeout: how long to wait for the connection, in seconds; at least 2.
            name: the name of the session, for those who look at the database.

        Raises:
            psycopg.OperationalError: the database can't be reached.
        """
        connection = cls.connect(
            watched_url(url, answer_timeout),
            autocommit=True,
            connect_timeout=max(2, round(connect_timeout)),
            application_name=name,
        )
        connection.answer_timeout = answer_timeout
        return connection

    def wrote(self, *changes: Change) -> None:
        """Remember changes until they are committed."""
        self.changes = (*self.changes, *changes)

    @contextmanager
    def waiting(self, answer_timeout: float) -> Iterator[None]:
        """Wait as many seconds for each answer while the block runs."""
        usual = self.answer_timeout
        self.answer_timeout = answer_timeout
        try:
            yield
        finally:
            self.answer_timeout = usual

    def wait(self, gen: PQGen[RV], interval: float = _INTERVAL, timeout: float | None = None) -> RV:
        """Return the result of ``gen``, or close the connection when that takes too long.

        Args:
            gen: an exchange with the database.
            interval: after how many seconds to look for signals.
            timeout: how long the caller wants to wait, in seconds, if shorter waits are no
                failure to it, as those for notifications.

        Raises:
            LateAnswerError: the answer did not come in time.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        now = time.monotonic()
        limit = now + self.answer_timeout
        if self.deadline is not None:
            limit = min(limit, self.deadline)
        try:
            return super().wait(gen, interval, max(limit - now, 0.0))
        except psycopg.OperationalError as error:
            # What PostgreSQL reports has an SQLSTATE, and leaves the connection as it says.
            if error.sqlstate is not None or time.monotonic() < limit:
                raise
            self.close()
            raise LateAnswerError("the database has not answered in time") from None


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """How long one kind of work may take, in seconds."""

    answer: float
    """For each answer of the database."""

    total: float
    """For all answers, from the connection to the end of the transaction."""

    statement: float
    """For each statement, after which PostgreSQL ends it; less than ``answer``, so that the
    connection is kept where PostgreSQL works."""

    lock: float = 0.0
    """For each lock; 0 for as long as the statement may take."""


def watched_url(url: str, timeout: float) -> str:
    """Return ``url`` with what makes the operating system notice that the network is silent.

    What it sets itself is left alone. Connections over a Unix socket take no notice.

    Args:
        url: a libpq connection string or URI.
        timeout: how long bytes may stay without an acknowledgement, in seconds.
    """
    wanted = {
        "tcp_user_timeout": str(round(timeout * 1000)),
        "keepalives": "1",
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
    }
    given = conninfo_to_dict(url)
    return make_conninfo(url, **{name: wanted[name] for name in wanted.keys() - given.keys()})


def configure(
    limits: WorkLimits,
    on_query: Callable[[str, float], None] | None = None,
    instrument: Instrument | None = None,
) -> Callable[[BoundedConnection], None]:
    """Return the function that prepares a new connection for one kind of work.

    Args:
        limits: how long the work may take.
        on_query: see :attr:`BoundedConnection.on_query`.
        instrument: called with the connection, to have its statements traced.
    """
    settings = {
        "TimeZone": "UTC",
        "application_name": APPLICATION_NAME,
        "statement_timeout": _milliseconds(limits.statement),
        "lock_timeout": _milliseconds(limits.lock),
        "idle_in_transaction_session_timeout": _milliseconds(_ABANDONED_AFTER),
        # The same for the other direction: a client that is gone, or takes nothing any more.
        "tcp_user_timeout": _milliseconds(limits.answer),
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }

    def prepare(connection: BoundedConnection) -> None:
        connection.answer_timeout = limits.answer
        connection.on_query = on_query
        apply_settings(connection, settings)
        if instrument is not None:
            instrument(connection)

    return prepare


def apply_settings(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set parameters of the session, in one round trip."""
    connection.execute(
        "SELECT set_config(name, value, false) "
        "FROM unnest(%s::text[], %s::text[]) AS settings (name, value)",
        [list(settings), list(settings.values())],
    )


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
