"""Pools of connections, one for each kind of work, so that no kind takes those of another.

Writers wait for one another, in the database as well. They queue for the few connections of
their own pool, in the order in which they came, while reads have theirs.
"""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import pq
from psycopg_pool import ConnectionPool

from configsvc_server.db.connections import (
    BoundedConnection,
    WorkLimits,
    configure,
    watched_url,
)
from configsvc_server.telemetry.traces import Instrument

__all__ = ["WorkPool"]

_CHECK_TIMEOUT: Final = 1.0
"""Seconds to wait for the answer of a connection that may be dead."""


class WorkPool:
    """Connections for one kind of work."""

    RECONNECT_TIMEOUT = 2.0
    """Seconds that the pool tries to reconnect before it starts afresh, so that its exponential
    back-off never grows long."""

    MAX_IDLE = 300.0
    """Seconds that a connection beyond the minimum may be idle before it is closed."""

    CLOSE_TIMEOUT = 2.0
    """Seconds to wait for the threads of the pool at its end."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        min_size: int,
        max_size: int,
        timeout: float,
        limits: WorkLimits,
        max_waiting: int = 0,
        on_query: Callable[[str, float], None] | None = None,
        instrument: Instrument | None = None,
    ) -> None:
        """Prepare the pool; it connects in :meth:`open`.

        Args:
            url: a libpq connection string or URI.
            name: the kind of work, for the log.
            min_size: how many connections there are at least.
            max_size: how many there may be.
            timeout: how long a request waits for one of them, in seconds.
            limits: how long the work may take.
            max_waiting: how many requests may wait at the same time; 0 for any number.
            on_query: see :attr:`~configsvc_server.db.connections.BoundedConnection.on_query`.
            instrument: called with each new connection, to have its statements traced.
        """
        self.name = name
        self.timeout = timeout
        self._limits = limits
        self._known_connection_errors = 0
        self._pool: ConnectionPool[BoundedConnection] = ConnectionPool(
            watched_url(url, limits.answer),
            connection_class=BoundedConnection,
            min_size=min_size,
            max_size=max_size,
            open=False,
            timeout=timeout,
            name=f"configsvc-{name}",
            max_waiting=max_waiting,
            max_idle=self.MAX_IDLE,
            reconnect_timeout=self.RECONNECT_TIMEOUT,
            configure=configure(limits, on_query, instrument),
            kwargs={"autocommit": True, "connect_timeout": max(2, round(timeout))},
            num_workers=min(3, max_size),
        )

    def open(self) -> None:
        """Begin to connect."""
        self._pool.open()

    def wait(self, timeout: float) -> None:
        """Wait for the first connections.

        Raises:
            PoolTimeout: they were not there after ``timeout`` seconds.
        """
        self._pool.wait(timeout=timeout)

    def close(self) -> None:
        """Close every connection; whoever waits for one gets ``PoolClosed``."""
        self._pool.close(timeout=self.CLOSE_TIMEOUT)

    def stats(self) -> dict[str, int]:
        """Return what the pool counts; nothing that is 0."""
        return self._pool.get_stats()

    def has_new_connection_errors(self) -> bool:
        """Return whether connecting has failed since this was last asked."""
        errors = self._pool.get_stats().get("connections_errors", 0)
        has_new = errors > self._known_connection_errors
        self._known_connection_errors = errors
        return has_new

    @contextmanager
    def connection(self, *, timeout: float, check: bool) -> Iterator[BoundedConnection]:
        """Yield a working connection, and take it back afterwards.

        The pool has a check of its own, but sleeps between failed ones, a second and more;
        after a restart of the database every idle connection is dead and all of them are
        to be replaced at once.

        Args:
            timeout: how long to wait for it, in seconds.
            check: whether even a connection that looks alive has to answer first.

        Raises:
            PoolTimeout: none became free in time.
            TooManyRequests: too many wait already.
        """
        give_up_at = time.monotonic() + timeout
        while True:
            connection = self._pool.getconn(max(give_up_at - time.monotonic(), 0))
            connection.deadline = time.monotonic() + min(timeout, _CHECK_TIMEOUT)
            if _is_alive(connection, check=check):
                break
            connection.close()
            self._pool.putconn(connection)
        connection.deadline = time.monotonic() + self._limits.total
        connection.changes = ()
        try:
            yield connection
        finally:
            # A transaction that is still open is rolled back here, within the deadline as well.
            self._pool.putconn(connection)


def _is_alive(connection: BoundedConnection, *, check: bool) -> bool:
    """Return whether an idle connection still works, without a round trip if it can.

    PostgreSQL sends nothing over an idle connection; if its socket is readable, the server has
    closed it or the connection is cut, and only then a round trip is needed to find out.
    """
    if connection.pgconn.status != pq.ConnStatus.OK:
        return False
    if check or _is_readable(connection.pgconn.socket):
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
