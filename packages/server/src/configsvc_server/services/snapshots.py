"""All configurations of one application for one environment: what a client reads."""

from collections.abc import Callable
from datetime import datetime

from configsvc_server.cache.responses import Reads, Rendered
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import FieldError, InvalidError, NotFoundError
from configsvc_server.domain.identifiers import is_ulid, normalize_ulid
from configsvc_server.domain.models import Snapshot
from configsvc_server.repositories import Repositories
from configsvc_server.services.guards import find_application_id

__all__ = ["SnapshotService"]


class SnapshotService:
    """Reads snapshots, and lets callers wait for the next one."""

    def __init__(
        self,
        database: Database,
        reads: Reads,
        *,
        render: Callable[[Snapshot], Rendered],
        waiters: Waiters,
    ) -> None:
        """Serve snapshots as ``render`` writes them.

        Args:
            database: where they are.
            reads: what is in memory.
            render: makes the answer of a snapshot.
            waiters: lets callers wait.
        """
        self._database = database
        self._reads = reads
        self._render = render
        self._waiters = waiters

    def get(self, application: str, environment: str, *, from_memory: bool = True) -> Rendered:
        """Return the snapshot as it is now.

        Args:
            application: its id or name.
            environment: its name.
            from_memory: whether an answer in memory will do.

        Raises:
            NotFoundError: there is no such application or environment.
        """
        _require_possible(environment)
        application_id = self._application_id(application, from_memory=from_memory)

        def read() -> Rendered:
            with self._database.autocommit() as connection:
                store = Repositories.over(connection)
                snapshot = store.snapshots.now(application_id, environment)
                if snapshot is None:
                    raise _missing(store, application, application_id, environment)
            return self._render(snapshot)

        if not from_memory:
            return read()
        return self._reads.snapshots.get((application_id, environment), read)

    def at(self, application: str, environment: str, moment: datetime) -> Rendered:
        """Return the snapshot as it was at a moment, to the byte.

        Args:
            application: its id, also of one that has been deleted since, or its name now.
            environment: its name.
            moment: timezone-aware.

        Raises:
            NotFoundError: there was no such application or environment then.
            InvalidError: the moment is yet to come.
        """
        _require_possible(environment)
        application_id = self._application_id(application)
        with self._database.autocommit() as connection:
            store = Repositories.over(connection)
            reached = store.snapshots.settle()
            if moment > reached:
                message = f"must not be in the future; it is {reached.isoformat()} now"
                raise InvalidError([FieldError("/at", message, "query")])
            snapshot = store.snapshots.then(application_id, environment, moment)
        if snapshot is None:
            raise NotFoundError("environment", environment, when=moment)
        return self._render(snapshot)

    def wait(
        self,
        application: str,
        environment: str,
        *,
        known: Callable[[str], bool],
        timeout: float,
        is_abandoned: Callable[[], bool] = lambda: False,
    ) -> tuple[Rendered, bool]:
        """Return the snapshot once it is one that the caller does not know.

        Args:
            application: its id or name.
            environment: its name.
            known: tells whether the caller knows the content with this ETag.
            timeout: how long to wait at most, in seconds.
            is_abandoned: tells whether the caller has gone away.

        Returns:
            The snapshot, and whether the wish to wait was granted. It is not where too many
            wait already, or while news of changes does not arrive.

        Raises:
            NotFoundError: there is no such application or environment.
        """

        def look() -> tuple[Rendered, bool]:
            current = self.get(application, environment)
            return current, not known(current.etag)

        return self._waiters.wait(
            look,
            topic=lambda: (self._application_id(application), environment),
            timeout=timeout,
            is_abandoned=is_abandoned,
        )

    def _application_id(self, key: str, *, from_memory: bool = True) -> str:
        if is_ulid(key):
            return normalize_ulid(key)

        def read() -> str:
            with self._database.autocommit() as connection:
                return find_application_id(Repositories.over(connection), key)

        return self._reads.application_ids.get(key, read) if from_memory else read()


def _require_possible(environment: str) -> None:
    if "\0" in environment:  # can't be stored, so can't be there
        raise NotFoundError("environment", environment)


def _missing(
    store: Repositories, application: str, application_id: str, environment: str
) -> NotFoundError:
    if store.applications.identify(application_id) is None:
        return NotFoundError("application", application)
    return NotFoundError("environment", environment)
