"""Status of a live view."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from configsvc_client._callbacks import call_safely
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import ConfigSvcError

# Most clients have no copies on disk and no layers, and start sooner without the modules.
if TYPE_CHECKING:
    from configsvc_client._local.layers import ViewLayers
    from configsvc_client._view.disk_cache import DiskCache

__all__ = ["Status", "StatusListeners", "StatusReader", "StatusSubscription"]


class Status(NamedTuple):
    """Status of a live view at the time of the call.

    Example:
        >>> app.status()
        live: version ..., confirmed ... ago, 2 configurations, ...
        >>> app.status().stale
        False
    """

    state: str
    """``not started``, ``starting``, ``live``, ``stale`` or ``closed``."""
    version: str | None
    """ETag of the snapshot; ``None`` where there is none."""
    age: float | None
    """Seconds since the snapshot was last known to be current; ``None`` where there is none, or
    it never was: a fallback."""
    stale: bool
    """Whether a newer snapshot may exist unnoticed: the last poll failed, or none
    succeeded for ``stale_after`` seconds, or nothing but the copy on disk or the fallback is
    known."""
    source: str | None
    """``server``, ``file``, ``disk`` or ``fallback``; ``None`` where there is no snapshot."""
    last_error: ConfigSvcError | None
    """Last failure, even if requests succeed again."""
    polls: int
    """Requests made, also failed ones; in a forked child, the parent's until the fork too."""
    failures: int
    """Requests that failed."""
    changes: int
    """Snapshots put in place, the first one and the copy on disk included."""
    mode: str | None
    """``long poll`` or ``interval``; where processes share their polls, ``shared (leading)``,
    ``shared (following)`` or ``shared (by itself)``; ``None`` where nothing polls."""
    configurations: int
    """Number of configurations."""
    rejected: Mapping[str, str]
    """Reasons why bound objects do not follow, by path; empty where all do."""
    cache_error: str | None
    """Problem of the copy on disk; ``None`` where there is none."""
    application: str
    """Name or id of the application, as it was given."""
    environment: str
    """Name of the environment."""
    overrides: int = 0
    """Number of values that are overridden here, by a file or by variables."""

    def __repr__(self) -> str:
        parts = []
        if self.version is not None:
            parts.append(f"version {self.version[:8]}")
        if self.age is not None:
            parts.append(f"confirmed {duration(self.age)} ago")
        if self.source is not None:
            plural = "" if self.configurations == 1 else "s"
            parts.append(f"{self.configurations} configuration{plural}")
        if self.source not in {"server", None}:
            parts.append(f"from {self.source}")
        if self.overrides:
            parts.append(f"{self.overrides} overridden")
        parts += [self.mode] if self.mode else []
        parts.append(f"{self.polls} polls")
        text = f"{self.state}: {', '.join(parts)}"
        if self.stale and self.last_error is not None:
            text += f"\nlast error: {self.last_error}"
        for name, reason in self.rejected.items():
            text += f"\nrejected {name}: {reason}"
        if self.cache_error is not None:
            text += f"\ncache: {self.cache_error}"
        return text


class StatusSubscription:
    """Subscription of a callback to the status of all views, until :meth:`cancel`.

    Example:
        >>> client.on_status(print)
        <Subscription to the status of every view>
    """

    def __init__(self, callback: Callable[[Status], object], listeners: "StatusListeners") -> None:
        self._callback = callback
        self._listeners = listeners
        self._has_failed = False

    def __repr__(self) -> str:
        return "<Subscription to the status of every view>"

    def cancel(self) -> None:
        """Stop calling the callback.

        Example:
            >>> subscription = client.on_status(print)
            >>> subscription.cancel()
        """
        self._listeners.remove(self)

    def notify(self, status: Status) -> None:
        """Call the callback."""
        error = call_safely(self, lambda: self._callback(status), has_failed=self._has_failed)
        self._has_failed |= error is not None


class StatusListeners:
    """Callbacks that are told when the status of a view becomes another."""

    def __init__(self) -> None:
        self._subscriptions: tuple[StatusSubscription, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._subscriptions)

    def subscribe(self, callback: Callable[[Status], object]) -> StatusSubscription:
        """Call ``callback`` with each new status."""
        subscription = StatusSubscription(callback, self)
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def remove(self, subscription: StatusSubscription) -> None:
        """Call the callback of a subscription no more."""
        self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)

    def publish(self, status: Status) -> None:
        """Call all callbacks."""
        for subscription in self._subscriptions:
            # One that was called before it may have cancelled it.
            if subscription in self._subscriptions:
                subscription.notify(status)


class StatusReader:
    """Reader of the status of one view, which tells the callbacks what is new in it."""

    def __init__(
        self,
        application: str,
        environment: str,
        *,
        store: SnapshotStore,
        sync: Synchronizer,
        disk: "DiskCache | None",
        stale_after: float,
        listeners: StatusListeners,
        layers: "ViewLayers | None" = None,
    ) -> None:
        """Create a reader.

        Args:
            application: name or id of the application.
            environment: name of the environment.
            store: the snapshot that there is.
            sync: has the bound objects.
            disk: the copy on disk, if there is one.
            stale_after: age in seconds from which a view is stale.
            listeners: told by :meth:`report`.
            layers: values below and over those of the server.
        """
        self._application = application
        self._environment = environment
        self._store = store
        self._sync = sync
        self._disk = disk
        self._stale_after = stale_after
        self._listeners = listeners
        self._layers = layers
        self._reported: object = None
        self.mode: Callable[[], str] | None = None
        """Way in which changes come; ``None`` where nothing polls."""
        self.is_closed = False
        """Whether the view is closed."""

    def read(self) -> Status:
        """Return the status."""
        store, held, mode = self._store, self._store.held, self.mode
        age = store.age()
        is_old = age is not None and age > self._stale_after
        stale = held is None or store.failing or store.stand_in is not None or is_old
        if self.is_closed:
            state = "closed"
        elif held is None:
            state = "not started" if mode is None else "starting"
        else:
            state = "stale" if stale else "live"
        return Status(
            state=state,
            version=held.version if held else None,
            age=age,
            stale=stale,
            source=None if held is None else store.stand_in or self._origin,
            last_error=store.error,
            polls=store.polls,
            failures=store.failures,
            changes=store.generation,
            mode=mode() if mode else None,
            configurations=len(held) if held else 0,
            rejected={b.path: str(b.error) for b in self._sync.bindings() if b.error is not None},
            cache_error=self._disk.error if self._disk else None,
            application=self._application,
            environment=self._environment,
            overrides=self._layers.count(store.raw) if self._layers else 0,
        )

    @property
    def _origin(self) -> str:
        return self._layers.origin if self._layers is not None else "server"

    def is_of(self, status: Status) -> bool:
        """Return whether a status is one of this view."""
        names = (status.application, status.environment)
        return names == (self._application, self._environment)

    def subscribe(self, callback: Callable[[Status], object]) -> StatusSubscription:
        """Call ``callback`` with each new status of this view, and of others of its client."""
        return self._listeners.subscribe(callback)

    def report(self) -> None:
        """Tell the callbacks if state, version, rejections or the copy's problem are others."""
        if not self._listeners:
            return
        status = self.read()
        known = (status.state, status.version, tuple(status.rejected.items()), status.cache_error)
        if known != self._reported:
            self._reported = known
            self._listeners.publish(status)


def duration(seconds: float) -> str:
    """Format a duration for people, in the largest unit of which there are two.

    Args:
        seconds: the duration.
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
