"""Live view: the configurations of one application, read from memory as a mapping."""

import time
from collections.abc import Callable, Hashable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from configsvc_client._binding.bindable import Bindable
from configsvc_client._binding.bound import Bound
from configsvc_client._values.diff import Differences, compare
from configsvc_client._values.paths import find
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.listeners import Change, Subscription
from configsvc_client._view.poller import Updater
from configsvc_client._view.runtime import MakeUpdater, ViewRuntime
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.status import Status, StatusListeners, duration
from configsvc_client._view.store import Reads, reads_of, snapshot_of
from configsvc_client.options import Options

# Imported at their first use.
if TYPE_CHECKING:
    from configsvc_client._binding.binding import Binding
    from configsvc_client._local.explanation import Explanation
    from configsvc_client._local.layers import ViewLayers

__all__ = ["ConfigView", "ViewReads"]


class ViewReads(Bindable, Mapping[str, Mapping[str, Any]]):
    """Reading half of a view: a mapping of what is in memory, and objects bound to it."""

    _START: str
    """What starts the view, for people."""

    def __init__(self, application: str, environment: str, runtime: ViewRuntime) -> None:
        self._application = application
        self._environment = environment
        self._runtime = runtime
        self._store = runtime.store
        # Kept here, since each read goes by them, and one attribute less is quicker.
        self._own = self._store.own
        self._reads: Reads = reads_of(EMPTY)
        self._store.mirror_to(self)
        self._bound: dict[Hashable, Bound[Any]] = {}

    @property
    def application(self) -> str:
        """Name or id of the application, as it was given."""
        return self._application

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self._environment

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """Return a configuration by its name.

        Raises:
            KeyError: there is none of that name.
            NotReadyError: there is no snapshot yet, and none came in time.
        """
        if self._own:
            try:
                return self._reads[name]  # type: ignore[no-any-return]
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

    def __eq__(self, other: object) -> bool:
        return object.__eq__(self, other)

    def __hash__(self) -> int:
        return object.__hash__(self)

    def keys(self) -> KeysView[str]:
        """Return the names of the configurations as they are now."""
        return self._ready().keys()

    def values(self) -> ValuesView[Mapping[str, Any]]:
        """Return the configurations as they are now."""
        return self._ready().values()

    def items(self) -> ItemsView[str, Mapping[str, Any]]:
        """Return names and configurations as they are now."""
        return self._ready().items()

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a path, or ``default`` if there is none.

        Args:
            path: dotted, such as ``database.pool_size``, or a JSON Pointer, such as
                ``/database/pool_size`` (for keys with a dot in them); a number is an index.
            default: the value to return where there is none.

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
        """Return a snapshot of all configurations, which does not change any more.

        Raises:
            NotReadyError: there is no snapshot yet, and none came in time.

        Example:
            >>> snapshot = app.snapshot()
            >>> snapshot["database"]["host"], snapshot["database"]["port"]  # fit together
            ('db1', 5432)
        """
        return self._ready()

    def explain(self, path: str) -> "Explanation":
        """Return where a value comes from, and what it hides, without a request.

        Args:
            path: dotted, such as ``database.pool_size``, or a JSON Pointer.

        Raises:
            NotReadyError: there is no snapshot yet.

        Example:
            >>> app.explain("database.pool_size")
            /database/pool_size: 10
              from the server: version 3 of 2026-...
        """
        return self._runtime.explain(path)

    def status(self) -> Status:
        """Return the status of this view, without a request and without starting anything.

        Example:
            >>> app.status()
            live: version ..., confirmed ... ago, 2 configurations, ...
        """
        return self._runtime.status()

    def __repr__(self) -> str:
        kind = type(self).__name__
        name = f"{self._application}/{self._environment}"
        status = self._runtime.status()
        if status.state == "not started":
            return f"<{kind} {name}: not started; {self._START}>"
        if status.source is None:
            error = f": {status.last_error}" if status.last_error else ""
            return f"<{kind} {name}: {status.state}, no configuration yet{error}>"
        count = status.configurations
        plural = "" if count == 1 else "s"
        age = "never confirmed" if status.age is None else f"confirmed {duration(status.age)} ago"
        return f"<{kind} {name}: {status.state}, {count} configuration{plural}, {age}>"

    def __dir__(self) -> list[str]:
        return sorted(name for name in dir(type(self)) if not name.startswith("_"))

    def _ipython_key_completions_(self) -> list[str]:
        # A press of the tab key must not start a thread.
        return list(self._store.held or ())

    def _bind(self, key: Hashable, make: Callable[[Snapshot], "Binding[Any]"]) -> Bound[Any]:
        self._ready()
        try:
            found = self._bound.get(key)
        except TypeError:
            # What is in Annotated need not be hashable.
            return self._handle(self._runtime.sync.bind(make))
        if found is None:
            made = self._handle(self._runtime.sync.bind(make))
            # Two threads may come here at once; both get the one that was first.
            found = self._bound.setdefault(key, made)
        return found

    def _handle(self, binding: "Binding[Any]") -> Bound[Any]:
        return Bound(binding, self._runtime)

    def _ready(self) -> Snapshot:
        """Return the snapshot; a subclass decides how long to wait for the first one."""
        raise NotImplementedError


class ConfigView(ViewReads):
    """Live view of the configurations of one application in one environment.

    Returned by :meth:`ConfigClient.application`. The first use starts a background thread and
    waits for the first snapshot; from then on no read touches the network. Threads may share
    a view. A forked child may go on using it: its own thread starts at the first use there.

    Example:
        >>> app = client.application("billing")
        >>> app["database"]["pool_size"]
        10
        >>> list(app)
        ['database', 'limits']
        >>> app
        <ConfigView billing/default: live, 2 configurations, confirmed ... ago>
    """

    _START = "the first use starts it"

    def __init__(
        self,
        application: str,
        environment: str,
        *,
        options: Options,
        sources: Callable[[str], SnapshotSource],
        updater: MakeUpdater,
        remove: Callable[["ConfigView"], None],
        status_listeners: StatusListeners,
        layers: "ViewLayers | None" = None,
    ) -> None:
        self._start_timeout = options.start_timeout
        self._sources = sources
        self._remove = remove
        disk = None
        is_local = layers is not None and layers.origin == "file"
        if options.cache_dir is not None and not is_local:
            # Not at import, which is to be quick: most clients have no copies on disk.
            from configsvc_client._view.disk_cache import DiskCache  # noqa: PLC0415

            disk = DiskCache(
                options.cache_dir, url=options.url, application=application, environment=environment
            )
        runtime = ViewRuntime(
            application,
            environment,
            options=options,
            disk=disk,
            source=sources(environment),
            updater=updater,
            status_listeners=status_listeners,
            layers=layers,
        )
        super().__init__(application, environment, runtime)

    def on_change(
        self, callback: Callable[[Change], object], path: str = "", *, call_now: bool = False
    ) -> Subscription:
        """Call ``callback`` whenever something changes; the first snapshot is no change.

        It is called when the new snapshot is in place, in the thread that fetched it: quick
        things only. What it raises is logged once and changes nothing. The view is kept up to
        date for it until :meth:`Subscription.cancel` or :meth:`close`.

        Args:
            callback: gets a :class:`Change` with the old and the new value.
            path: name of a configuration, or a path into one; without it, everything.
            call_now: whether to call it in this thread first, with what there is: ``old`` is
                ``None`` then. It is not called where there is nothing at ``path``.

        Raises:
            NotReadyError: with ``call_now``, if there is no snapshot yet, and none came in time.

        Example:
            >>> app.on_change(lambda change: print("resized to", change.new), "database.pool_size")
            <Subscription to 'database.pool_size'>
            >>> client.configurations.update(database, config={"pool_size": 20}).version
            resized to 20
            4
        """
        if call_now:
            self._ready()
        else:
            self._runtime.wake()
        return self._runtime.listeners.subscribe(
            callback, path, owner=self._runtime, call_now=call_now
        )

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Wait for the first snapshot.

        Args:
            timeout: seconds to wait at most; ``start_timeout`` of the client by default.

        Raises:
            NotReadyError: none came in time; the cause is the last failure.
            NotFoundError, AuthError: the server refuses; polling goes on nevertheless.

        Example:
            >>> app.wait_until_ready(timeout=5)
        """
        seconds = self._start_timeout if timeout is None else timeout
        if not self._runtime.wake():
            self._runtime.wait(time.monotonic() + seconds)

    def refresh(self) -> bool:
        """Fetch the newest snapshot now, in this thread, and return whether anything changed.

        There is no need to call this in order to stay up to date.

        Raises:
            ConfigSvcError: the request failed; the view stays as it is.

        Example:
            >>> app.refresh()
            False
        """
        return self._runtime.refresh()

    def diff(
        self,
        since: Mapping[str, Any] | None = None,
        *,
        environment: str | None = None,
        at: datetime | None = None,
    ) -> Differences:
        """Return the differences between another snapshot and the present one of this view.

        New is always the present snapshot. With an environment, both sides have their own
        overlays in them: it shows how the two differ, not what a promotion would change.

        Args:
            since: the snapshot to compare with; without it, the one before the last change.
            environment: compare with what another environment serves, fetched now.
            at: compare with what was served at a timestamp, fetched now; needs a time zone.

        Raises:
            ConfigSvcError: the request failed.
            ValueError: ``since`` is given beside another, or the timestamp has no time zone.

        Example:
            >>> app.diff()  # the last change
            ~ /database/pool_size: 8 → 10
            >>> app.diff(environment="prod")  # prod has 8, and no limits
            ~ /database/pool_size: 8 → 10
            + /limits: {'per_minute': 60}
        """
        now = self._ready()
        if environment is None and at is None:
            before = self._store.previous if since is None else since
            return compare(now if before is None else before, now)
        if since is not None:
            raise ValueError("Give either what to compare with, or where and when to find it.")
        return compare(self._fetch(environment or self._environment, at), now)

    def at(self, timestamp: datetime) -> Snapshot:
        """Return the snapshot that this environment served at a timestamp, fetched now.

        Args:
            timestamp: a time that is not in the future, with a time zone.

        Raises:
            ConfigSvcError: the request failed.
            ValueError: the timestamp has no time zone.

        Example:
            >>> created_at = client.configurations.revision(database, 1).created_at
            >>> app.at(created_at)["database"]["pool_size"]
            5
        """
        return self._fetch(self._environment, timestamp)

    def close(self) -> None:
        """Stop polling, promptly; the last snapshot can still be read.

        Example:
            >>> app.close()
            >>> app.status().state
            'closed'
        """
        self._runtime.close()
        self._remove(self)

    def _stop(self) -> Updater | None:
        """Begin to close, without waiting for anything; the updater may be joined."""
        return self._runtime.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _ready(self) -> Snapshot:
        current = snapshot_of(self._reads)
        if current is not EMPTY and self._own:
            return current
        return self._runtime.ready()

    def _fetch(self, environment: str, at: datetime | None) -> Snapshot:
        return self._sources(environment).fetch_once(at=at, previous=self._store.held)
