"""Snapshot use cases: read what an environment serves, wait for the next, or look back."""

from collections.abc import Callable
from datetime import datetime

from configsvc_server.cache.parking import Parking
from configsvc_server.cache.responses import CachedResponse, ResponseCache
from configsvc_server.cache.snapshots import CachedSnapshot, Superseded
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.entity_tags import EntityTags
from configsvc_server.domain.errors import FieldError, InvalidError, NotFoundError
from configsvc_server.domain.identifiers import is_storable, is_ulid, normalize_ulid
from configsvc_server.domain.models import Snapshot
from configsvc_server.domain.overlays import resolve_snapshot
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import require_environment
from configsvc_server.services.guards import find_application_id
from configsvc_server.services.settled_time import SettledTime

__all__ = ["SnapshotService"]


class SnapshotService:
    """Reads snapshots, and lets callers wait for the next one."""

    def __init__(
        self,
        database: Database,
        cache: ResponseCache,
        *,
        render: Callable[[Snapshot], CachedSnapshot],
        render_delta: Callable[[CachedSnapshot, Superseded], CachedResponse],
        compress: Callable[[bytes], bytes],
        waiters: Waiters,
    ) -> None:
        """Create the service.

        Args:
            database: where they are stored.
            cache: keeps responses.
            render: returns the response of a resolved snapshot.
            render_delta: returns what makes another snapshot into this one.
            compress: returns a body compressed.
            waiters: slots to wait in.
        """
        self._database = database
        self._cache = cache
        self._render = render
        self._render_delta = render_delta
        self._compress = compress
        self._waiters = waiters
        self._settled_time = SettledTime(database)

    def get(
        self,
        principal: Principal,
        application: str,
        environment: str,
        *,
        bypass_cache: bool = False,
    ) -> CachedSnapshot:
        """Return the snapshot as it is now.

        Args:
            principal: who asks.
            application: its id or name.
            environment: its name.
            bypass_cache: whether to read the database in any case.

        Raises:
            NotFoundError: there is no such application or environment.
        """
        _require_storable(environment)
        application_id = self._application_id(application, bypass_cache=bypass_cache)
        require_environment(
            principal,
            Permission.READ_ENVIRONMENT,
            application_id,
            environment,
            key=application,
        )

        def load() -> CachedSnapshot:
            with self._database.autocommit() as connection:
                store = Repositories(connection)
                snapshot = store.snapshots.current(application_id, environment)
                if snapshot is None:
                    raise _missing(store, application, application_id, environment)
            rendered = self._render(resolve_snapshot(snapshot))
            self._cache.history.record(rendered)
            return rendered

        cached = self._cache.snapshots
        read = cached.reload if bypass_cache else cached.get
        return read((application_id, environment), load)

    def at(
        self, principal: Principal, application: str, environment: str, timestamp: datetime
    ) -> tuple[CachedSnapshot, bool]:
        """Return the snapshot as it was at a past time, to the byte.

        Args:
            principal: who asks.
            application: its id, also of one that has been deleted since, or its name now.
            environment: its name.
            timestamp: timezone-aware.

        Returns:
            The snapshot, and whether the same request will get the same for ever. It may not if
            it names the application, which another may be called one day; nor before a later
            change is written, since only that keeps a clock that is set back from writing into
            the past.

        Raises:
            NotFoundError: there was no such application or environment then.
            InvalidError: the time is yet to come.
            UnavailableError: a writer may still add to that time, and takes long.
        """
        _require_storable(environment)
        application_id = self._application_id(application)
        require_environment(
            principal,
            Permission.READ_ENVIRONMENT,
            application_id,
            environment,
            key=application,
        )
        settled = self._settled_time.reach(timestamp)
        if timestamp > settled:
            message = f"must not be in the future; it is {settled.isoformat()} now"
            raise InvalidError([FieldError("/at", message)])
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            last = store.changes.last_timestamp()
            snapshot = store.snapshots.past(application_id, environment, timestamp)
        if snapshot is None:
            raise NotFoundError("environment", environment, when=timestamp)
        is_final = is_ulid(application) and last is not None and timestamp < last
        return self._render(resolve_snapshot(snapshot)), is_final

    def wait(
        self,
        principal: Principal,
        application: str,
        environment: str,
        *,
        known: EntityTags,
        timeout: float,
        is_abandoned: Callable[[], bool],
        parking: Parking | None = None,
    ) -> tuple[CachedSnapshot, bool]:
        """Return the snapshot once it is one that the caller does not have.

        Args:
            principal: who asks.
            application: its id or name.
            environment: its name.
            known: tags of the snapshots that the caller has.
            timeout: how long to wait at most, in seconds.
            is_abandoned: returns whether the client has gone.
            parking: where the server puts the request aside; ``None`` to wait in the thread.

        Returns:
            The snapshot, and whether the server agreed to wait. It does not where too many
            wait already, or while evictions do not arrive.

        Raises:
            NotFoundError: there is no such application or environment.
            Parked: the request is put aside, and run again.
        """
        current = self.get(principal, application, environment)
        if not known.matches_weakly(current.etag) or self._waiters.is_closed:
            return current, True
        with self._waiters.slot(parking) as slot:
            if not slot.granted:
                return current, False
            key = (self._application_id(application), environment)
            for _ in slot.changes(key, timeout=timeout, is_abandoned=is_abandoned):
                current = self.get(principal, application, environment)
                if not known.matches_weakly(current.etag):
                    break
        return current, True

    def delta(
        self, current: CachedSnapshot, known: EntityTags
    ) -> tuple[str, CachedResponse] | None:
        """Return what makes the snapshot that the caller has into ``current``.

        It is made once for all who have the same.

        Args:
            current: the snapshot that is to be the result.
            known: tags of the snapshots that the caller has.

        Returns:
            The tag of the snapshot that the delta is for, and the delta with its own tag;
            ``None`` where the caller's is not remembered, or the delta would not be much smaller
            than the whole.
        """
        base = self._cache.history.find(current, known)
        if base is None:
            return None
        size = sum(len(current.member(name)) for name in base.changed if name in current.entries)
        if size > len(current.body) // 2:
            return None
        key = ("delta", base.etag, current.etag)
        delta = self._cache.variants.get(key, lambda: self._render_delta(current, base))
        return (base.etag, delta) if len(delta.body) <= len(current.body) // 2 else None

    def compressed(
        self, response: CachedResponse | CachedSnapshot, *, is_past: bool
    ) -> CachedResponse:
        """Return a response with its body compressed, once for all who ask for the same.

        What is past is not kept: one caller who reads all of the history would drive out what
        everybody else is sent.

        Args:
            response: the response.
            is_past: whether it is of a past time.
        """

        def load() -> CachedResponse:
            return CachedResponse(response.etag, self._compress(response.body))

        if is_past:
            return load()
        return self._cache.variants.get(("compressed", response.etag), load)

    def _application_id(self, key: str, *, bypass_cache: bool = False) -> str:
        if is_ulid(key):
            return normalize_ulid(key)

        def load() -> str:
            with self._database.autocommit() as connection:
                return find_application_id(Repositories(connection), key)

        cached = self._cache.application_ids
        read = cached.reload if bypass_cache else cached.get
        return read(key, load)


def _require_storable(environment: str) -> None:
    if not is_storable(environment):
        raise NotFoundError("environment", environment)


def _missing(
    store: Repositories, application: str, application_id: str, environment: str
) -> NotFoundError:
    if store.applications.find_id(application_id) is None:
        return NotFoundError("application", application)
    return NotFoundError("environment", environment)
