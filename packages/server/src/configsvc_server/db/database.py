"""Database access: the connection pool, and errors of PostgreSQL as errors of the domain.

A single statement runs in autocommit mode and costs one round trip; several run in a
transaction in pipeline mode, so that statements whose result nobody waits for cost no round
trip of their own.
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
from psycopg_pool import ConnectionPool, PoolTimeout

from configsvc_server.domain.errors import UnavailableError, UnstorableValueError

__all__ = ["Connection", "Database", "describe_url"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_log = structlog.stdlib.get_logger(__name__)

_OUTAGE_ERRORS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # A server in recovery or a read-only replica: a failover is under way.
    psycopg.errors.ReadOnlySqlTransaction,
)

# These are OperationalErrors too, but concern one request that was too slow or lost a conflict.
_CONTENTION_ERRORS = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)

_VALUE_ERRORS = (
    psycopg.DataError,
    psycopg.errors.CheckViolation,
    # An OperationalError as well, but what is too large is a value of the request.
    psycopg.errors.ProgramLimitExceeded,
)


def describe_url(url: str) -> str:
    """Return a description of the database in ``url`` for people, without the password."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    host = parts.get("host") or "local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    name = parts.get("dbname") or parts.get("user") or "default database"
    user = f" as {parts['user']}" if parts.get("user") else ""
    return f"{name} at {host}{port}{user}"


class Database:
    """Pool of connections to one database.

    During an outage, a request waits only :attr:`OUTAGE_TIMEOUT` for a connection, so that it
    does not block every thread of the server. The pool reconnects by itself.
    """

    OUTAGE_TIMEOUT = 0.25
    """Seconds that a request waits for a connection during an outage."""

    RECONNECT_TIMEOUT = 2.0
    """Seconds that the pool tries to reconnect before it starts afresh, so that its exponential
    back-off never grows long."""

    MAX_IDLE = 300.0
    """Seconds that a connection beyond the minimum may be idle before it is closed."""

    RETRY_AFTER = 2.0
    """Seconds that clients should wait before they try again."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        timeout: float = 5.0,
        statement_timeout: float = 30.0,
    ) -> None:
        """Prepare the pool; it connects in :meth:`open`.

        Args:
            url: a libpq connection string or URI.
            pool_size: how many connections there may be.
            timeout: how long a request waits for a free connection, in seconds.
            statement_timeout: how long a statement may run, in seconds.
        """
        self.description = describe_url(url)
        self.timeout = timeout
        self._outage = threading.Event()
        self._known_connection_errors = 0
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
        """Open the pool and wait for its first connections.

        Args:
            wait: how long to wait for them, in seconds.

        Raises:
            UnavailableError: the database can't be reached; the message says why.
        """
        reason = _connection_error(self._url)
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
                f"{_connection_error(self._url) or 'it does not answer in time'}"
            ) from None

    def close(self) -> None:
        """Close every connection; requests that wait for one get ``UnavailableError``."""
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
        """Yield a connection in autocommit mode, for a single statement.

        Raises:
            UnavailableError: no connection was available, or it was lost, or the statement
                took too long.
            UnstorableValueError: PostgreSQL refused a value.
        """
        with self._translate_errors(), self._checkout() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection in a transaction, which is committed when the block succeeds.

        Raises:
            UnavailableError: no connection was available, or it was lost, or a statement took
                too long. If the connection was lost during the commit, the transaction may
                have been committed.
            UnstorableValueError: PostgreSQL refused a value.
        """
        with (
            self._translate_errors(),
            self._checkout() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            yield connection

    @staticmethod
    def ping(connection: Connection) -> None:
        """Wait for an answer of the database over ``connection``."""
        connection.execute("SELECT 1")

    @contextmanager
    def _checkout(self) -> Iterator[Connection]:
        """Yield a working connection of the pool, and return it afterwards.

        The pool has a check of its own, but sleeps between failed ones, a second and more;
        after a restart of the database every idle connection is dead and all of them are
        to be replaced at once.
        """
        timeout = self.OUTAGE_TIMEOUT if self._outage.is_set() else self.timeout
        deadline = time.monotonic() + timeout
        while True:
            connection = self._pool.getconn(max(deadline - time.monotonic(), 0))
            if _is_alive(connection):
                break
            connection.close()
            self._pool.putconn(connection)
        self._mark_available()
        try:
            yield connection
        finally:
            self._pool.putconn(connection)

    def _mark_available(self) -> None:
        if self._outage.is_set():
            self._outage.clear()
            _log.info("database is back", database=self.description)

    def _mark_unavailable(self, error: Exception) -> None:
        if not self._outage.is_set():
            self._outage.set()
            _log.warning("database is away", database=self.description, error=str(error).strip())

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise errors that no caller can handle as errors of the domain.

        Others, such as a unique violation, pass: repositories handle them.
        """
        try:
            yield
        except PoolTimeout as error:
            # New failures to connect distinguish an outage from a pool that is merely busy.
            connection_errors = self._pool.get_stats().get("connections_errors", 0)
            if connection_errors > self._known_connection_errors or self._outage.is_set():
                self._known_connection_errors = connection_errors
                self._mark_unavailable(error)
                raise self._unavailable() from error
            raise UnavailableError(
                "Every database connection is busy.", retry_after=self.RETRY_AFTER
            ) from error
        except _VALUE_ERRORS as error:
            # Every value that PostgreSQL can't store should have been refused before.
            _log.error("the database refused a value", exc_info=error)
            raise UnstorableValueError from error
        except _CONTENTION_ERRORS as error:
            _log.warning("statement given up", error=str(error).strip())
            raise UnavailableError(
                "The database is too busy to finish this request.", retry_after=self.RETRY_AFTER
            ) from error
        except _OUTAGE_ERRORS as error:
            self._mark_unavailable(error)
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
    """Return whether an idle connection still works, without a round trip if it does.

    PostgreSQL sends nothing over an idle connection; if its socket is readable, the server has
    closed it or the connection is cut, and only then a round trip is needed to find out.
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
    # Windows has no poll.
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _connection_error(url: str) -> str | None:
    """Connect once and return the error on one line, or ``None`` if there is none."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error as error:
        return " ".join(str(error).split())
    return None
