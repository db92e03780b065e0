"""The connection pool, and what happens when the database is away.

What is done in one statement runs in autocommit mode and costs one round trip; the rest runs
in a transaction in pipeline mode, so that statements whose result nobody waits for cost no
round trip of their own.
"""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeAlias

import psycopg
import psycopg.conninfo
import structlog
from psycopg import pq
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from configsvc_server.domain.errors import UnavailableError

__all__ = ["Connection", "Database", "describe_url"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_log = structlog.stdlib.get_logger(__name__)

_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # A server in recovery or a read-only replica: a failover is under way.
    psycopg.errors.ReadOnlySqlTransaction,
)

# These are OperationalErrors too, but say that this one request was too slow or too unlucky.
_BUSY = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


def describe_url(url: str) -> str:
    """Name the database in ``url`` for people, leaving out the password."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    host = parts.get("host") or "local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    name = parts.get("dbname") or parts.get("user") or "default database"
    user = f" as {parts['user']}" if parts.get("user") else ""
    return f"{name} at {host}{port}{user}"


class Database:
    """Hands out connections from a pool; raises ``UnavailableError`` when there is none.

    While the database is known to be away, a request waits only ``AWAY_TIMEOUT`` for it, so
    that an outage does not tie up every thread of the server. The pool reconnects by itself.
    """

    AWAY_TIMEOUT = 0.25
    """How long to wait for a connection while the database is away, in seconds."""

    RECONNECT_TIMEOUT = 2.0
    """After how many seconds a failing reconnection gives way to a new one, so that its
    exponential back-off never grows long."""

    MAX_IDLE = 300.0
    """After how many idle seconds a connection beyond the minimum is closed."""

    RETRY_AFTER = 2.0
    """What clients are told to wait when the database is away, in seconds."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        timeout: float = 5.0,
        statement_timeout: float = 30.0,
    ) -> None:
        """Prepare a pool; nothing is connected before :meth:`open`.

        Args:
            url: a libpq connection string or URI.
            pool_size: connections at most.
            timeout: how long a request waits for a free connection, in seconds.
            statement_timeout: how long a statement may run, in seconds.
        """
        self.description = describe_url(url)
        self.timeout = timeout
        self._away = threading.Event()
        self._errors_seen = 0
        self._url = url
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=min(2, pool_size),
            max_size=pool_size,
            open=False,
            timeout=timeout,
            name="configsvc",
            max_idle=self.MAX_IDLE,
            reconnect_timeout=self.RECONNECT_TIMEOUT,
            configure=_configure(statement_timeout),
            kwargs={"autocommit": True, "connect_timeout": max(2, round(timeout))},
        )

    def open(self, *, wait: float = 10.0) -> None:
        """Connect, waiting up to ``wait`` seconds for the first connection.

        Raises:
            UnavailableError: the database could not be reached; the message says why.
        """
        reason = _why_not(self._url)
        if reason is not None:
            _log.warning(
                "waiting for the database",
                database=self.description,
                error=reason,
                at_most_seconds=wait,
            )
        self._pool.open()
        try:
            self._pool.wait(timeout=wait)
        except PoolTimeout:
            self.close()
            raise UnavailableError(
                f"The database {self.description} can't be reached: "
                f"{_why_not(self._url) or 'it does not answer in time'}"
            ) from None

    def close(self) -> None:
        """Close every connection; requests that still wait for one fail."""
        self._pool.close(timeout=2.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Lend a connection in autocommit mode: every statement stands alone.

        Raises:
            UnavailableError: no connection could be had, or it broke.
        """
        with self._translate(), self._lend() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection inside a transaction, committed when the block ends well.

        Raises:
            UnavailableError: no connection could be had, or it broke. Where it broke during
                the commit itself, the transaction may have been committed.
        """
        with (
            self._translate(),
            self._lend() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            yield connection

    @contextmanager
    def _lend(self) -> Iterator[Connection]:
        """Take a living connection from the pool and give it back.

        The pool has a check of its own, but sleeps between failed ones, a second and more;
        after a restart of the database every idle connection is dead and all of them are
        to be replaced at once.
        """
        patience = self.AWAY_TIMEOUT if self._away.is_set() else self.timeout
        deadline = time.monotonic() + patience
        while True:
            connection = self._pool.getconn(max(deadline - time.monotonic(), 0))
            if _is_alive(connection):
                break
            connection.close()
            self._pool.putconn(connection)
        self._back()
        try:
            yield connection
        finally:
            self._pool.putconn(connection)

    def _back(self) -> None:
        if self._away.is_set():
            self._away.clear()
            _log.info("database is back", database=self.description)

    def _gone(self, error: Exception) -> None:
        if not self._away.is_set():
            self._away.set()
            _log.warning("database is away", database=self.description, error=str(error).strip())

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except (PoolTimeout, TooManyRequests) as error:
            # Failed connection attempts since the last look tell an outage from a crowd.
            errors = self._pool.get_stats().get("connections_errors", 0)
            if errors > self._errors_seen or self._away.is_set():
                self._errors_seen = errors
                self._gone(error)
                raise self._unavailable() from error
            raise UnavailableError(
                "Every database connection is busy.", retry_after=self.RETRY_AFTER
            ) from error
        except _BUSY as error:
            _log.warning("statement given up", error=str(error).strip())
            raise UnavailableError(
                "The database is too busy to finish this request.", retry_after=self.RETRY_AFTER
            ) from error
        except psycopg.errors.ProgramLimitExceeded as error:
            # An OperationalError as well, but what is too large is a value of this request.
            raise psycopg.DataError(str(error)) from error
        except _AWAY as error:
            self._gone(error)
            raise self._unavailable() from error

    def _unavailable(self) -> UnavailableError:
        return UnavailableError("The database can't be reached.", retry_after=self.RETRY_AFTER)


def _configure(statement_timeout: float) -> Callable[[Connection], None]:
    milliseconds = round(statement_timeout * 1000)

    def configure(connection: Connection) -> None:
        connection.execute(
            "SELECT set_config('statement_timeout', %s, false), "
            "set_config('TimeZone', 'UTC', false), "
            "set_config('application_name', 'configsvc', false)",
            [str(milliseconds)],
        )

    return configure


def _is_alive(connection: Connection) -> bool:
    """Tell whether a connection survived being idle, at no cost where it did.

    An idle connection has nothing to say; when its socket is readable, the server has said
    goodbye or the connection is cut, and only then a round trip finds out.
    """
    if connection.pgconn.status != pq.ConnStatus.OK:
        return False
    if _is_readable(connection.pgconn.socket):
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            return False
    return True


def _is_readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _why_not(url: str) -> str | None:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error as error:
        return " ".join(str(error).split())
    return None
