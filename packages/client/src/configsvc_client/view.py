"""A live, locally cached view of the configurations of one application."""

import time
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self, TypeVar, cast

from configsvc_client.binding import Bound
from configsvc_client.diff import Differences, compare
from configsvc_client.diskcache import DiskCache
from configsvc_client.dispatch import Change, Subscription
from configsvc_client.engine import Engine
from configsvc_client.options import Options
from configsvc_client.paths import find
from configsvc_client.poller import Updater
from configsvc_client.snapshot import EMPTY, Snapshot
from configsvc_client.status import Status, duration
from configsvc_client.store import SnapshotStore
from configsvc_client.sync import SnapshotFeed, Synchronizer

__all__ = ["ConfigView"]

T = TypeVar("T")


class ConfigView(Mapping[str, Mapping[str, Any]]):
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
    ) -> None:
        self._application = application
        self._environment = environment
        self._start_timeout = options.start_timeout
        self._forget = forget
        disk = None
        if options.cache_dir is not None:
            disk = DiskCache(
                options.cache_dir, url=options.url, application=application, environment=environment
            )
        self._engine = Engine(
            f"{application!r} ({environment})",
            options=options,
            disk=disk,
            feed=feed,
            updater=updater,
        )
        self._store = self._engine.store
        self._bound: dict[tuple[str, Any], Bound[Any]] = {}

    @property
    def application(self) -> str:
        """Name of the application, as it was given."""
        return self._application

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self._environment

    # Reading -----------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """Return a configuration by its name.

        Raises:
            KeyError: there is none of that name.
            NotReadyError: there is no snapshot yet, and none came in time.
        """
        try:
            return self._store.current.configs[name]  # type: ignore[no-any-return]
        except KeyError:
            # Either it does not exist, or there is no snapshot here yet.
            pass
        return self._ready()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ready())

    def __len__(self) -> int:
        return len(self._ready())

    def __contains__(self, name: object) -> bool:
        return name in self._ready().configs

    def __bool__(self) -> bool:
        # Asked by ``if app:`` and by debuggers; it must not wait for a server.
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def keys(self) -> KeysView[str]:
        """Return the names of the configurations at this moment."""
        return self._ready().keys()

    def values(self) -> ValuesView[Mapping[str, Any]]:
        """Return the configurations at this moment."""
        return self._ready().values()

    def items(self) -> ItemsView[str, Mapping[str, Any]]:
        """Return names and configurations at this moment."""
        return self._ready().items()

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a path, or ``default`` if there is none.

        Args:
            path: dotted, such as ``database.pool_size``, or a JSON Pointer, such as
                ``/database/pool_size`` (for keys with a dot in them); a number is an index.
            default: what to return where there is nothing.

        Raises:
            NotReadyError: there is no snapshot yet, and none came in time.

        Example:
            >>> app.get("database.replicas.0.host"), app.get("/database/timeout", 30)
            ('db2', 30)
        """
        try:
            return find(self._ready().configs, path)
        except KeyError:
            return default

    def snapshot(self) -> Snapshot:
        """Return everything as it is now; it does not change any more.

        Example:
            >>> snapshot = app.snapshot()
            >>> snapshot["database"]["host"], snapshot["database"]["port"]  # fit together
            ('db1', 5432)
        """
        return self._ready()

    def bind(self, path: str, model: type[T]) -> Bound[T]:
        """Return a configuration as an object of a type, kept fresh.

        A later document that does not fit is rejected: the object stays as it is, and
        :meth:`status` and :attr:`Bound.error` tell why.

        Args:
            path: name of a configuration, or a path into one.
            model: a dataclass, a TypedDict, or a pydantic model.

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
        key = (path, model)
        if key not in self._bound:
            made = self._engine.sync.bind(lambda held: Bound(path, model, self._engine.wake, held))
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

    def diff(self, since: Mapping[str, Any] | None = None) -> Differences:
        """Return what differs between an earlier snapshot and now.

        Args:
            since: what to compare with; without it, what was there before the last change.

        Example:
            >>> app.diff()
            ~ /database/pool_size: 10 → 20
        """
        now = self._ready()
        before = self._store.previous if since is None else since
        return compare(now if before is None else before, now)

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

    # Inside ------------------------------------------------------------------------------

    def _ready(self) -> Snapshot:
        current = self._store.current
        return current if current is not EMPTY else self._engine.ready()

    def _after_fork(self) -> None:
        self._engine.reset_after_fork()
        for bound in self._bound.values():
            bound._sleep()
