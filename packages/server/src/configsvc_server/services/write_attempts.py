"""How a write that depends on what it has read gets its turn.

Turns come one at a time for the whole service, so nothing slow may happen in one: what is to
be written is read and checked before, and the turn is refused if that has changed meanwhile.
Then everything is done again; whoever is unlucky a few times does it all in a turn, as nobody
can come in between then; only checks that are not quick are refused there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from configsvc_server.db.database import Database
from configsvc_server.domain.errors import StaleError
from configsvc_server.repositories import Repositories

__all__ = ["ATTEMPTS", "Attempt", "take_turns"]

T = TypeVar("T")

ATTEMPTS = 3
"""How often a write is tried before it takes its turn first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One go at reading, checking and writing."""

    database: Database
    seen: int | None
    """The last change before anything was read; ``None`` where nothing can come in between."""
    store: Repositories | None = None
    """Where everything is to happen, in a turn that is taken already."""

    @property
    def is_in_turn(self) -> bool:
        """Whether all other writers are waiting, so that nothing slow may be done."""
        return self.store is not None

    @contextmanager
    def reading(self) -> Iterator[Repositories]:
        """Give the repositories for statements that each stand alone."""
        if self.store is not None:
            yield self.store
            return
        with self.database.autocommit() as connection:
            yield Repositories.over(connection)

    @contextmanager
    def writing(self) -> Iterator[Repositories]:
        """Give the repositories in a transaction."""
        if self.store is not None:
            yield self.store
            return
        with self.database.transaction() as connection:
            yield Repositories.over(connection)


def take_turns(
    database: Database,
    attempt: Callable[[Attempt], T],
    *,
    lock: Callable[[Repositories], object] = lambda _: None,
) -> T:
    """Return the result of ``attempt``, which is called until nothing came in between.

    Args:
        database: where to write.
        attempt: reads, checks and writes; passes on ``seen`` when it takes its turn, and has
            no other effect than what it writes in one transaction.
        lock: locks the rows that the attempt locks, since that has to come before the turn.
    """
    for _ in range(ATTEMPTS):
        with database.autocommit() as connection:
            seen = Repositories.over(connection).changes.last_id()
        try:
            return attempt(Attempt(database, seen))
        except StaleError:
            continue
    with database.transaction() as connection:
        store = Repositories.over(connection)
        lock(store)
        store.changes.take_turn()
        return attempt(Attempt(database, None, store))
