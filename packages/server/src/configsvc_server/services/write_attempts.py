"""Optimistic retry: writes that depend on what they have read, validated without a lock.

There is one write lock for the whole service, so nothing slow may happen under it. What a write
depends on is read and checked before, and acquiring the lock fails if that has changed meanwhile;
then the attempt is repeated. After a few failures the write lock is acquired first, so that no
other writer can come in between; under it, checks that are not cheap are refused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from configsvc_server.db.database import Database
from configsvc_server.domain.errors import StaleError
from configsvc_server.repositories import Repositories
from configsvc_server.services.guards import find_application_id, find_configuration

__all__ = ["ATTEMPTS", "WriteAttempt", "optimistic_retry"]

T = TypeVar("T")

ATTEMPTS = 3
"""How often a write is tried before it acquires the write lock first."""


@dataclass(frozen=True, slots=True)
class WriteAttempt:
    """One attempt at reading, checking and writing."""

    database: Database
    observed_change_id: int | None = None
    """The last change before anything was read; ``None`` where nothing can come in between."""
    store: Repositories | None = None
    """Repositories of the transaction that holds the write lock; ``None`` where none does."""

    @property
    def holds_write_lock(self) -> bool:
        """Whether all other writers are waiting, so that nothing slow may be done."""
        return self.store is not None

    @contextmanager
    def reading(self) -> Iterator[Repositories]:
        """Yield the repositories for statements that read and each stand alone."""
        if self.store is not None:
            yield self.store
            return
        with self.database.autocommit() as connection:
            yield Repositories(connection)

    @contextmanager
    def writing_once(self) -> Iterator[Repositories]:
        """Yield the repositories for a single statement that writes."""
        if self.store is not None:
            yield self.store
            return
        with self.database.write_statement() as connection:
            yield Repositories(connection)

    @contextmanager
    def writing(self) -> Iterator[Repositories]:
        """Yield the repositories in a transaction."""
        if self.store is not None:
            yield self.store
            return
        with self.database.transaction() as connection:
            yield Repositories(connection)


def optimistic_retry(
    database: Database,
    attempt: Callable[[WriteAttempt], T],
    *,
    lock_application: str | None = None,
    lock_configuration: str | None = None,
) -> T:
    """Return the result of ``attempt``, which is called until nothing came in between.

    Args:
        database: where to write.
        attempt: reads, checks and writes; passes ``observed_change_id`` on when it acquires the
            write lock, and has no other effect than what it writes in one transaction.
        lock_application: id or name of the application whose row the attempt locks.
        lock_configuration: id of the configuration whose row the attempt locks.
    """
    for _ in range(ATTEMPTS):
        with database.autocommit() as connection:
            observed_change_id = Repositories(connection).changes.last_id()
        try:
            return attempt(WriteAttempt(database, observed_change_id))
        except StaleError:
            continue
    with database.transaction() as connection:
        store = Repositories(connection)
        # Rows are locked before the write lock is acquired, never after.
        if lock_application is not None:
            find_application_id(store, lock_application, lock=True)
        if lock_configuration is not None:
            find_configuration(store, lock_configuration, lock=True)
        store.changes.acquire_write_lock()
        return attempt(WriteAttempt(database, store=store))
