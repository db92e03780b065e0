"""Fleet use cases: who serves what, has it arrived, and what an instance served in the past."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from configsvc_server.cache.parking import Parking
from configsvc_server.cache.responses import FleetKey, ResponseCache
from configsvc_server.cache.snapshots import CachedSnapshot, SnapshotKey
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.database import Database
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import (
    ConfigSvcError,
    FieldError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from configsvc_server.domain.fleet import (
    About,
    Convergence,
    Instance,
    InstanceFilter,
    InstanceMoment,
    InstanceState,
    Rejection,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.fleet_sharing import FleetSharing
from configsvc_server.services.snapshots import SnapshotService

__all__ = ["FleetService"]

_ANONYMOUS: Final = "anonymous"


class FleetService:
    """Records polls in memory, and answers from the table that all servers share."""

    MAX_MOMENTS = 50
    """Past snapshots that are tried to find the one that an instance served."""

    SEARCH_TIMEOUT = 2.0
    """Seconds that this may take."""

    def __init__(
        self,
        database: Database,
        cache: ResponseCache,
        *,
        snapshots: SnapshotService,
        sharing: FleetSharing | None,
        waiters: Waiters,
        retention: float,
    ) -> None:
        """Create the service.

        Args:
            database: where the instances of all servers are.
            cache: keeps what this server has seen, and what was counted.
            snapshots: what environments serve.
            sharing: writes what this server has seen; ``None`` if nothing is to be recorded.
            waiters: slots to wait in.
            retention: seconds that the log is kept.
        """
        self._database = database
        self._cache = cache
        self._fleet = cache.fleet
        self._snapshots = snapshots
        self._sharing = sharing
        self._waiters = waiters
        self._retention = retention

    @property
    def is_on(self) -> bool:
        """Whether polls are recorded."""
        return self._sharing is not None

    def saw(
        self,
        principal: Principal,
        environment: SnapshotKey,
        about: About,
        serves: str | None,
        *,
        address: str,
    ) -> None:
        """Record a poll of somebody who may read the environment.

        Args:
            principal: who polls.
            environment: application id and environment.
            about: what the instance says of itself.
            serves: tag of the snapshot that it has; ``None`` where it does not say so.
            address: where it polls from.
        """
        name = None if principal.kind == _ANONYMOUS else principal.name
        self._fleet.saw(environment, about, serves, address=address, principal=name)

    def ignore_header(self) -> None:
        """Count a header that says nothing of an instance that could be understood."""
        self._fleet.ignored_headers += 1

    def report(
        self,
        principal: Principal,
        application: str,
        environment: str,
        instance: str,
        version: str,
        rejections: Sequence[Rejection],
    ) -> None:
        """Record what an instance has rejected of a snapshot.

        Args:
            principal: who reports it.
            application: id or name of the application.
            environment: its environment.
            instance: id of the instance. It may not have been heard of yet.
            version: tag of the snapshot.
            rejections: what of it; empty if nothing any more.

        Raises:
            NotFoundError: there is no such application or environment.
            UnavailableError: the database is away, and too much waits to be written.
        """
        key = self._served(principal, application, environment).key
        if not self._fleet.reported((*key, instance), version, rejections):
            self._share()
            if not self._fleet.reported((*key, instance), version, rejections):
                raise UnavailableError("Too many reports wait to be written.", retry_after=5.0)

    def list(
        self,
        principal: Principal,
        application: str,
        environment: str,
        request: PageRequest,
        *,
        state: InstanceState | None = None,
        service: str | None = None,
    ) -> tuple[Page[Instance], str]:
        """Return one page of the instances of an environment, and what that serves now.

        Args:
            principal: who asks.
            application: id or name of the application.
            environment: its environment.
            request: which part.
            state: only those in this state.
            service: only those of this service.

        Raises:
            NotFoundError: there is no such application or environment.
        """
        served = self._served(principal, application, environment)
        self._share()
        wanted = InstanceFilter(*served.key, served.etag, state, service)
        with self._database.autocommit() as connection:
            page = Repositories(connection).instances.page(request, wanted)
        return page.of([self._as_seen(served.key, item) for item in page.items]), served.etag

    def get(
        self, principal: Principal, application: str, environment: str, instance: str
    ) -> tuple[Instance, str]:
        """Return one instance, and the tag of what its environment serves now.

        Raises:
            NotFoundError: there is no such application, environment or instance.
        """
        served = self._served(principal, application, environment)
        self._share()
        with self._database.autocommit() as connection:
            found = Repositories(connection).instances.find(*served.key, instance)
        if found is None:
            raise NotFoundError("instance", instance)
        return self._as_seen(served.key, found), served.etag

    def at(
        self,
        principal: Principal,
        application: str,
        environment: str,
        instance: str,
        timestamp: datetime,
    ) -> tuple[InstanceMoment, CachedSnapshot | None]:
        """Return what an instance served at a past time, and the snapshot with that tag.

        Returns:
            What it served; and the snapshot, if it had one, and that is found.

        Raises:
            NotFoundError: nothing is known of the instance at that time.
            InvalidError: the time is yet to come.
        """
        key = self._served(principal, application, environment).key
        now = datetime.now(UTC)
        if timestamp > now + timedelta(seconds=1):
            message = f"must not be in the future; it is {now.isoformat()} now"
            raise InvalidError([FieldError("/at", message)])
        if timestamp < now - timedelta(seconds=self._retention):
            days = self._retention / 86400
            raise NotFoundError(
                "instance",
                instance,
                message=f"That time is outside the retention: what instances served is kept for "
                f"{days:g} days.",
            )
        self._share()
        with self._database.autocommit() as connection:
            moment = Repositories(connection).instances.at(*key, instance, timestamp)
        if moment is None:
            raise NotFoundError(
                "instance",
                instance,
                message=f"Nothing is known of an instance {instance!r} at "
                f"{timestamp.isoformat()}: that is before it was first seen.",
            )
        return moment, self._snapshot_of(principal, key, moment)

    def convergence(
        self,
        principal: Principal,
        application: str,
        environment: str,
        *,
        version: str | None = None,
        bypass_cache: bool = False,
    ) -> Convergence:
        """Return how many instances serve a snapshot.

        Args:
            principal: who asks.
            application: id or name of the application.
            environment: its environment.
            version: tag of the snapshot; ``None`` for what is served now.
            bypass_cache: whether to read from the database what is served.

        Raises:
            NotFoundError: there is no such application or environment.
        """
        self._share()
        if bypass_cache:
            self._snapshots.get(principal, application, environment, bypass_cache=True)
        return self._count(principal, application, environment, version)

    def wait(
        self,
        principal: Principal,
        application: str,
        environment: str,
        *,
        version: str | None,
        timeout: float,
        is_abandoned: Callable[[], bool],
        parking: Parking | None = None,
    ) -> tuple[Convergence, bool]:
        """Return how many instances serve a snapshot once that will not change by waiting.

        Args:
            principal: who asks.
            application: id or name of the application.
            environment: its environment.
            version: tag of the snapshot; ``None`` for what is served now.
            timeout: how long to wait at most, in seconds.
            is_abandoned: returns whether the client has gone.
            parking: where the server puts the request aside; ``None`` to wait in the thread.

        Returns:
            The counts, and whether the server agreed to wait.

        Raises:
            NotFoundError: there is no such application or environment.
            Parked: the request is put aside, and run again.
        """
        if parking is None or parking.deadline is None:
            # Those who are woken read what was shared; to share at each would wake them again.
            self._share()
        found = self._count(principal, application, environment, version)
        if found.is_final or self._waiters.is_closed:
            return found, True
        with self._waiters.slot(parking) as slot:
            if not slot.granted:
                return found, False
            key = FleetKey(self._served(principal, application, environment).key)
            for _ in slot.changes(key, timeout=timeout, is_abandoned=is_abandoned):
                found = self._count(principal, application, environment, version)
                if found.is_final:
                    break
        return found, True

    def _served(self, principal: Principal, application: str, environment: str) -> CachedSnapshot:
        """Return what an environment serves to somebody who may read it."""
        served = self._snapshots.get(principal, application, environment)
        if not self.is_on:
            raise NotFoundError(
                "fleet", environment, message="This server keeps no record of instances."
            )
        return served

    def _count(
        self, principal: Principal, application: str, environment: str, version: str | None
    ) -> Convergence:
        served = self._served(principal, application, environment)
        wanted = version or served.etag

        def load() -> Convergence:
            with self._database.autocommit() as connection:
                return Repositories(connection).instances.convergence(
                    *served.key, version=wanted, serves=served.etag
                )

        found = self._cache.convergences.get((served.key, wanted), load)
        # What is served may have changed since.
        return found if found.serves == served.etag else replace(found, serves=served.etag)

    def _share(self) -> None:
        """Share what is due, so that one server alone is exact at once."""
        if self._sharing is not None and self._fleet.has_news:
            # If the database is away, whoever reads will see.
            with contextlib.suppress(ConfigSvcError):
                self._sharing.share()

    def _as_seen(self, environment: SnapshotKey, instance: Instance) -> Instance:
        """Return an instance with the time when this server has seen it, if that is later."""
        moment = self._fleet.last_seen((*environment, instance.about.id))
        if moment is None or self._sharing is None:
            return instance
        seen_at = self._sharing.time_of(moment) or instance.last_seen_at
        return replace(instance, last_seen_at=max(instance.last_seen_at, seen_at))

    def _snapshot_of(
        self, principal: Principal, environment: SnapshotKey, moment: InstanceMoment
    ) -> CachedSnapshot | None:
        if moment.serves is None:
            return None
        for snapshot in self._snapshots_before(principal, environment, moment.since):
            if snapshot.etag == moment.serves:
                return snapshot
        return None

    def _snapshots_before(
        self, principal: Principal, environment: SnapshotKey, until: datetime
    ) -> Iterator[CachedSnapshot]:
        """Yield what an environment served up to a time, the latest first."""
        give_up_at = time.monotonic() + self.SEARCH_TIMEOUT
        with self._database.autocommit() as connection:
            moments = Repositories(connection).instances.moments(
                *environment, until, limit=self.MAX_MOMENTS
            )
        for moment in moments:
            # The application or the environment may not have been there.
            with contextlib.suppress(NotFoundError):
                yield self._snapshots.at(principal, *environment, moment)[0]
            if time.monotonic() > give_up_at:
                return
