"""A live, locally cached view of the configurations of one application."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self, TypeAlias, TypeVar, cast

from configsvc_client._binding.bound import Bound
from configsvc_client._values.diff import Differences, compare
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._view.disk_cache import DiskCache
from configsvc_client._view.listeners import Change, Subscription
from configsvc_client._view.livemapping import LiveMapping
from configsvc_client._view.poller import Updater
from configsvc_client._view.runtime import Engine
from configsvc_client._view.status import Status, duration
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import SnapshotFeed, Synchronizer
from configsvc_client.options import Options

__all__ = ["ConfigView"]

T = TypeVar("T")

Look: TypeAlias = Callable[[str, datetime | None, Snapshot | None], Snapshot]
"""Fetches what an environment serves, or did at a moment; shares with a snapshot."""


class ConfigView(LiveMapping):
    """The configurations of one application in one environment, from memory and kept fresh.

    Made by :meth:`ConfigClient.application`. The first use starts a background thread and
    waits for the first snapshot; from then on no read touches the network. Threads may share
    a view. A forked child may go on using it: its own thread starts at the first use there.

    Example:
        >>> app = client.application("billing")
        >>> app["database"]["pool_size"]
        10
        >>> app
        <ConfigView billing/default: live, 3 configurations, confirmed 2 s ago>
    """

    def __init__(
        self,
        application: str,
        environment: str,
        *,
        options: Options,
        feed: SnapshotFeed,
        updater: Callable[[SnapshotStore, Synchronizer], Updater],
        forget: Callable[["ConfigView"], None],
        look: Look | None = None,
    ) -> None:
        self._application = application
        self._environment = environment
        self._start_timeout = options.start_timeout
        self._forget = forget
        self._look = look
        disk = None
        if options.cache_dir is not None:
            disk = DiskCache(
                options.cache_dir, url=options.url, application=application, environment=environment
            )
        engine = Engine(
            f"{application!r} ({environment})",
            options=options,
            disk=disk,
            feed=feed,
            updater=updater,
        )
        super().__init__(engine)
        self._bound: dict[tuple[str, Any, bool], Bound[Any]] = {}

    @property
    def application(self) -> str:
        """Name of the application, as it was given."""
        return self._application

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self._environment

    def bind(self, path: str, model: type[T], *, schema_defaults: bool = False) -> Bound[T]:
        """Return a configuration as an object of a type, kept fresh.

        A later document that does not fit is rejected: the object stays as it is, and
        :meth:`status` and :attr:`Bound.error` tell why.

        Args:
            path: name of a configuration, or a path into one.
            model: a dataclass, a TypedDict, or a pydantic model.
            schema_defaults: whether to fill what the configuration lacks from the defaults
                of its schema; those of the type come after them.

        Raises:
            BindError: the configuration does not fit now, or does not exist.
            NotReadyError: there is no snapshot yet, and none came in time.
            TypeError: the type has annotations that JSON can't be converted to.

        Example:
            >>> database = app.bind("database", DatabaseSettings)
            >>> database.value.pool_size
            10
        """
        self._ready()
        key = (path, model, schema_defaults)
        if key not in self._bound:
            wake = self._engine.wake
            made = self._engine.sync.bind(
                lambda held: Bound(path, model, wake, held, schema_defaults=schema_defaults)
            )
            # Two threads may come here at once; both get the one that was first.
            self._bound.setdefault(key, made)
        return cast("Bound[T]", self._bound[key])

    def on_change(self, callback: Callable[[Change], object], path: str = "") -> Subscription:
        """Call ``callback`` whenever something changes; the first snapshot is no change.

        It is called when the new snapshot is in place, in the thread that fetched it: quick
        things only. What it raises is logged once and changes nothing.

        Args:
            callback: gets a :class:`Change` with the old and the new value.
            path: name of a configuration, or a path into one; without it, everything.

        Example:
            >>> app.on_change(lambda change: pool.resize(change.new), "database.pool_size")
            <Subscription to 'database.pool_size'>
        """
        self._engine.wake()
        return self._engine.dispatcher.subscribe(callback, path)

    # Keeping fresh -----------------------------------------------------------------------

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Wait for the first snapshot.

        Args:
            timeout: seconds to wait at most; ``start_timeout`` of the client by default.

        Raises:
            NotReadyError: none came in time; the cause is what went wrong last.
            NotFoundError, AuthError: the server refuses; polling goes on nevertheless.

        Example:
            >>> app.wait_until_ready(timeout=5)
        """
        seconds = self._start_timeout if timeout is None else timeout
        if not self._engine.wake():
            self._engine.wait(time.monotonic() + seconds)

    def refresh(self) -> bool:
        """Fetch the newest snapshot now, in this thread; tell whether anything changed.

        There is no need to call this in order to stay fresh.

        Raises:
            ConfigSvcError: it can't be had; what is there stays.

        Example:
            >>> app.refresh()
            False
        """
        return self._engine.refresh()

    def status(self) -> Status:
        """Say how this view is doing; asks nobody and starts nothing.

        Example:
            >>> app.status()
            live: version 3f2a90c1, confirmed 2 s ago, 3 configurations, long poll, 12 polls
        """
        return self._engine.status()

    def diff(
        self,
        since: Mapping[str, Any] | None = None,
        *,
        environment: str | None = None,
        at: datetime | None = None,
    ) -> Differences:
        """Return what differs between something else and what this view has now.

        New is always what this view has now. With an environment, both sides have their own
        overlays in them: it shows how the two differ, not what a promotion would change.

        Args:
            since: what to compare with; without it, what was there before the last change.
            environment: compare with what another environment serves, fetched now.
            at: compare with what was served at a moment, fetched now; needs a time zone.

        Raises:
            ConfigSvcError: what to compare with can't be had.
            ValueError: it is not one thing, or the moment has no time zone.

        Example:
            >>> app.diff()
            ~ /database/pool_size: 10 → 20
            >>> app.diff(environment="prod")  # prod has 5, this environment has 20
            ~ /database/pool_size: 5 → 20
        """
        now = self._ready()
        if environment is None and at is None:
            before = self._store.previous if since is None else since
            return compare(now if before is None else before, now)
        if since is not None:
            raise ValueError("Give either what to compare with, or where and when to find it.")
        return compare(self._fetch(environment or self._environment, at), now)

    def at(self, moment: datetime) -> Snapshot:
        """Return what this environment served at a moment, fetched now.

        Args:
            moment: not in the future, and with a time zone.

        Raises:
            ConfigSvcError: it can't be had.
            ValueError: the moment has no time zone.

        Example:
            >>> yesterday = datetime.now(UTC) - timedelta(days=1)
            >>> app.at(yesterday)["database"]["pool_size"]
            10
        """
        return self._fetch(self._environment, moment)

    def close(self) -> None:
        """Stop polling, promptly. What is in memory can still be read.

        Example:
            >>> app.close()
            >>> app.status().state
            'closed'
        """
        self._engine.close()
        self._forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # In a REPL ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        name = f"{self._application}/{self._environment}"
        status = self.status()
        if status.state == "not started":
            return f"<ConfigView {name}: not started; the first use starts it>"
        if status.age is None:
            error = f": {status.last_error}" if status.last_error else ""
            return f"<ConfigView {name}: {status.state}, no configuration yet{error}>"
        count = status.configurations
        plural = "" if count == 1 else "s"
        age = duration(status.age)
        return (
            f"<ConfigView {name}: {status.state}, {count} configuration{plural},"
            f" confirmed {age} ago>"
        )

    def __dir__(self) -> list[str]:
        return sorted(name for name in dir(type(self)) if not name.startswith("_"))

    def _ipython_key_completions_(self) -> list[str]:
        # A press of the tab key must not start a thread.
        return list(self._store.held or ())

    def _fetch(self, environment: str, at: datetime | None) -> Snapshot:
        if self._look is None:
            raise NotImplementedError("This view has no way to look elsewhere.")
        return self._look(environment, at, self._store.held)

    def _after_fork(self) -> None:
        self._engine.reset_after_fork()
        for bound in self._bound.values():
            bound._sleep()
