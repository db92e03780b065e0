"""Database access: connections for each kind of work, and errors of PostgreSQL as ours.

A single statement runs in autocommit mode and costs one round trip; several run in a
transaction in pipeline mode, so that statements whose result nobody waits for cost no round
trip of their own.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import psycopg
import structlog
from psycopg_pool import PoolTimeout, TooManyRequests

from configsvc_server.db.connections import BoundedConnection, Connection, WorkLimits
from configsvc_server.db.pools import WorkPool
from configsvc_server.db.urls import describe_url
from configsvc_server.domain.errors import UnavailableError, UnstorableValueError
from configsvc_server.domain.models import Change
from configsvc_server.telemetry.traces import Instrument

__all__ = ["Connection", "Database"]

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
    # It has left a transaction open for too long: this process was not running for a while.
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)

_VALUE_ERRORS = (
    psycopg.DataError,
    psycopg.errors.CheckViolation,
    # An OperationalError as well, but what is too large is a value of the request.
    psycopg.errors.ProgramLimitExceeded,
)


class Database:
    """Connections to one database, a pool of them for each kind of work.

    During an outage, a request waits only :attr:`OUTAGE_TIMEOUT` for a connection, so that it
    does not block every thread of the server. The pools reconnect by themselves.
    """

    OUTAGE_TIMEOUT = 0.25
    """Seconds that a request waits for a connection during an outage."""

    RETRY_AFTER = 2.0
    """Seconds that clients should wait before they try again."""

    STATEMENT_SHARE = 0.9
    """Part of the time for an answer after which PostgreSQL ends a statement itself."""

    LOCK_SHARE = 0.8
    """Part of the time for an answer that a write may wait for each lock."""

    MAX_QUEUED_WRITES = 100
    """Writes that may wait for a connection at the same time."""

    HEALTH_TIMEOUT = 2.0
    """Seconds that a health check waits for a connection, and for each answer, at most."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        timeout: float = 5.0,
        statement_timeout: float | None = None,
        on_query: Callable[[str, float], None] | None = None,
        on_change: Callable[[Change], None] = lambda _: None,
        instrument: Instrument | None = None,
    ) -> None:
        """Prepare the pools; they connect in :meth:`open`.

        Args:
            url: a libpq connection string or URI.
            pool_size: how many connections there may be for reads, and as many for writes.
                Health checks, metrics and readers of the past have one each besides.
            timeout: how long a request waits for a free connection, and again for each answer,
                in seconds. A write may take twice as long for all of its answers.
            statement_timeout: how long a statement may run, in seconds; ``None`` for a little
                less than ``timeout``.
            on_query: see :attr:`~configsvc_server.db.connections.BoundedConnection.on_query`.
            on_change: called after the commit of each change, in the thread that has written it.
            instrument: called with each new connection that does the work of requests, to have
                its statements traced.
        """
        self._on_change = on_change
        self.description = describe_url(url)
        self._outage = threading.Event()
        self._url = url
        statement = (
            self.STATEMENT_SHARE * timeout if statement_timeout is None else statement_timeout
        )
        reading = WorkLimits(answer=timeout, total=timeout, statement=statement)
        self._reads = WorkPool(
            url,
            name="reads",
            min_size=min(2, pool_size),
            max_size=pool_size,
            timeout=timeout,
            limits=reading,
            on_query=on_query,
            instrument=instrument,
        )
        self._writes = WorkPool(
            url,
            name="writes",
            min_size=1,
            # Writers wait for one another, but PostgreSQL prepares the next while one commits: with
            # two connections they take a third longer than with eight.
            max_size=pool_size,
            timeout=timeout,
            limits=WorkLimits(
                answer=timeout,
                total=2 * timeout,
                statement=statement,
                lock=self.LOCK_SHARE * timeout,
            ),
            max_waiting=self.MAX_QUEUED_WRITES,
            on_query=on_query,
            instrument=instrument,
        )
        # It waits for writers, of any server, so nobody else may need its connection.
        self._barriers = WorkPool(
            url,
            name="barriers",
            min_size=0,
            max_size=1,
            timeout=timeout,
            limits=reading,
            on_query=on_query,
            instrument=instrument,
        )
        health_timeout = min(timeout, self.HEALTH_TIMEOUT)
        self._health = WorkPool(
            url,
            name="health",
            min_size=1,
            max_size=1,
            timeout=health_timeout,
            limits=WorkLimits(
                answer=health_timeout,
                total=health_timeout,
                statement=self.STATEMENT_SHARE * health_timeout,
            ),
        )
        # Who looks at the service must neither take what its requests need nor wait for them.
        self._monitoring = WorkPool(
            url,
            name="monitoring",
            min_size=0,
            max_size=1,
            timeout=health_timeout,
            limits=WorkLimits(
                answer=health_timeout,
                total=health_timeout,
                statement=self.STATEMENT_SHARE * health_timeout,
            ),
            on_query=on_query,
        )
        self._pools = (self._reads, self._writes, self._barriers, self._health, self._monitoring)

    def open(self, *, wait: float = 10.0) -> None:
        """Open the pools and wait for their first connections.

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
        give_up_at = time.monotonic() + wait
        for pool in self._pools:
            pool.open()
        try:
            for pool in self._pools:
                pool.wait(max(give_up_at - time.monotonic(), 0))
        except PoolTimeout:
            self.close()
            raise UnavailableError(
                f"The database {self.description} can't be reached: "
                f"{_connection_error(self._url) or 'it does not answer in time'}"
            ) from None

    def close(self) -> None:
        """Close every connection; requests that wait for one get ``UnavailableError``."""
        for pool in self._pools:
            pool.close()

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
        """Yield a connection in autocommit mode, for single statements that read.

        Raises:
            UnavailableError: no connection was available, or it was lost, or the statement
                took too long.
            UnstorableValueError: PostgreSQL refused a value.
        """
        with self._checkout(self._reads) as connection:
            yield connection

    @contextmanager
    def write_statement(self) -> Iterator[Connection]:
        """Yield a connection in autocommit mode, for a single statement that writes.

        Raises:
            UnavailableError, UnstorableValueError: as :meth:`transaction` does.
        """
        with self._checkout(self._writes) as connection:
            yield connection
            self._committed(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection in a transaction, which is committed when the block succeeds.

        It is for writes, which queue here for their turn.

        Raises:
            UnavailableError: no connection was available, or it was lost, or a statement took
                too long, or too many writes wait. If the connection was lost during the commit,
                the transaction may have been committed.
            UnstorableValueError: PostgreSQL refused a value.
        """
        with self._checkout(self._writes) as connection:
            with connection.pipeline(), connection.transaction():
                yield connection
            self._committed(connection)

    @contextmanager
    def barrier(self) -> Iterator[Connection]:
        """Yield the connection that may wait for a writer, in autocommit mode.

        Raises:
            UnavailableError: it did not become free in time, or the writer took too long.
        """
        with self._checkout(self._barriers) as connection:
            yield connection

    @contextmanager
    def health(self) -> Iterator[Connection]:
        """Yield the connection that is kept for health checks, in autocommit mode.

        Raises:
            UnavailableError: the database can't be reached.
        """
        with self._checkout(self._health) as connection:
            yield connection

    @contextmanager
    def monitoring(self) -> Iterator[Connection]:
        """Yield the connection that is kept for metrics, in autocommit mode.

        Raises:
            UnavailableError: the database can't be reached.
        """
        with self._checkout(self._monitoring) as connection:
            yield connection

    @property
    def is_available(self) -> bool:
        """Whether the database answered the last time that it was asked."""
        return not self._outage.is_set()

    def pool_stats(self) -> dict[str, dict[str, int]]:
        """Return what each pool counts, by the kind of its work."""
        return {pool.name: pool.stats() for pool in self._pools}

    @staticmethod
    def ping(connection: Connection) -> None:
        """Wait for an answer of the database over ``connection``."""
        connection.execute("SELECT 1")

    @contextmanager
    def _checkout(self, pool: WorkPool) -> Iterator[BoundedConnection]:
        in_outage = self._outage.is_set()
        timeout = min(pool.timeout, self.OUTAGE_TIMEOUT) if in_outage else pool.timeout
        with (
            self._translate_errors(pool),
            # In an outage, connections that have not been used since may have fallen silent.
            pool.connection(timeout=timeout, check=in_outage) as connection,
        ):
            self._mark_available()
            yield connection

    def _committed(self, connection: BoundedConnection) -> None:
        for change in connection.changes:
            self._on_change(change)

    def _mark_available(self) -> None:
        if self._outage.is_set():
            self._outage.clear()
            _log.info("database is back", database=self.description)

    def _mark_unavailable(self, error: Exception) -> None:
        if not self._outage.is_set():
            self._outage.set()
            _log.warning("database is away", database=self.description, error=str(error).strip())

    @contextmanager
    def _translate_errors(self, pool: WorkPool) -> Iterator[None]:
        """Raise errors that no caller can handle as errors of the domain.

        Others, such as a unique violation, pass: repositories handle them.
        """
        try:
            yield
        except TooManyRequests as error:
            raise UnavailableError(
                "Too many writes are waiting: the service is busy.", retry_after=self.RETRY_AFTER
            ) from error
        except PoolTimeout as error:
            # New failures to connect distinguish an outage from a pool that is merely busy.
            if pool.has_new_connection_errors() or self._outage.is_set():
                self._mark_unavailable(error)
                raise self._unavailable() from error
            raise UnavailableError(
                "Every database connection is busy.", retry_after=self.RETRY_AFTER
            ) from error
        except _VALUE_ERRORS as error:
            # Every value that PostgreSQL can't store should have been refused before.
            _log.error(
                "the database refused a value",
                sqlstate=error.sqlstate,
                constraint=error.diag.constraint_name,
                exc_info=error,
            )
            raise UnstorableValueError from error
        except _CONTENTION_ERRORS as error:
            reason = error.diag.message_primary or str(error).strip()
            _log.warning("statement given up", error=reason, sqlstate=error.sqlstate)
            raise UnavailableError(
                "The database is too busy to finish this request.", retry_after=self.RETRY_AFTER
            ) from error
        except _OUTAGE_ERRORS as error:
            self._mark_unavailable(error)
            raise self._unavailable() from error

    def _unavailable(self) -> UnavailableError:
        return UnavailableError("The database can't be reached.", retry_after=self.RETRY_AFTER)


def _connection_error(url: str) -> str | None:
    """Connect once and return the error on one line, or ``None`` if there is none."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error as error:
        return " ".join(str(error).split())
    return None
