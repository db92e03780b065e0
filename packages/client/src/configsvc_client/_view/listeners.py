"""Listeners: callbacks of a view, and the changes that they get."""

import threading
from collections.abc import Callable, Iterator
from logging import getLogger
from typing import Any, Final, NamedTuple, Protocol

from configsvc_client._callbacks import call_safely, describe_failure
from configsvc_client._values.frozen import is_same
from configsvc_client._values.paths import find
from configsvc_client._values.snapshot import EMPTY, Snapshot

__all__ = ["Change", "Listeners", "Subscription", "change_between", "has_equal_values"]

_log = getLogger("configsvc_client")

_ABSENT: Final = object()


class Change(NamedTuple):
    """Change of a view, as a callback gets it.

    Its representation has no values, so that it can be logged.

    Example:
        >>> app.on_change(lambda change: print(change.old, "→", change.new), "database.pool_size")
        <Subscription to 'database.pool_size'>
        >>> client.configurations.update(database, config={"pool_size": 20}).version
        10 → 20
        4
    """

    path: str
    """Path that was subscribed to; empty for the whole view."""
    old: Any
    """Value before; ``None`` where there was none."""
    new: Any
    """Value now; ``None`` where there is none any more."""
    before: Snapshot
    """Snapshot before the change."""
    after: Snapshot
    """Snapshot after the change; reads of the view return this one or a newer one."""

    @property
    def configurations(self) -> tuple[str, ...]:
        """Sorted names of all configurations that came, went or changed.

        Example:
            >>> app.on_change(lambda change: print(change.configurations))
            <Subscription to everything>
            >>> client.configurations.update(database, config={"pool_size": 20}).version
            ('database',)
            4
        """
        names = self.before.configs.keys() | self.after.configs.keys()
        return tuple(
            sorted(
                name
                for name in names
                if self.before.configs.get(name) is not self.after.configs.get(name)
            )
        )

    def __repr__(self) -> str:
        what = repr(self.path) if self.path else "everything"
        return f"<Change of {what}: {', '.join(self.configurations) or 'nothing'}>"


class Listener(Protocol):
    """Listener that knows what it was told last."""

    @property
    def path(self) -> str:
        """Path that it is told of; empty for everything."""

    @property
    def failure(self) -> str | None:
        """Failure of the last call, without values; ``None`` where it worked."""

    def notify(self, after: Snapshot) -> None:
        """Tell what is new in a snapshot; raises nothing but what may not be kept."""


class Subscription:
    """Subscription of a callback to changes, until :meth:`cancel`.

    A callback that is subscribed keeps the view up to date, also where nothing else refers to
    it any more.

    Example:
        >>> app.on_change(print, "database.pool_size")
        <Subscription to 'database.pool_size'>
    """

    def __init__(
        self,
        callback: Callable[[Change], object],
        path: str,
        listeners: "Listeners",
        told: Snapshot | None,
        owner: object,
    ) -> None:
        self._callback = callback
        self.path: str = path
        """Path that is subscribed to; empty for everything."""
        self.failure: str | None = None
        """Failure of the last call, without values; ``None`` where it worked."""
        self._listeners = listeners
        self._told = told
        self._owner: object | None = owner
        self._is_cancelled = False
        self._has_failed = False
        self._reset()

    def _reset(self) -> None:
        # A callback may refresh the view, or subscribe again: the same thread comes again.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<Subscription to {repr(self.path) if self.path else 'everything'}>"

    def cancel(self) -> None:
        """Stop calling the callback; a call that is under way goes on.

        Example:
            >>> subscription = app.on_change(print)
            >>> subscription.cancel()
            >>> client.configurations.update(database, config={"pool_size": 20}).version
            4
        """
        self._is_cancelled = True
        self._listeners.remove(self)
        self._owner = None

    def notify(self, after: Snapshot) -> None:
        """Call the callback with what changed since it was called last."""
        with self._lock:
            before, self._told = self._told, after
            # The first snapshot is no change.
            if before is None or before is after or self._is_cancelled:
                return
            change = change_between(before, after, self.path)
            if change is not None:
                error = call_safely(
                    self, lambda: self._callback(change), has_failed=self._has_failed
                )
                self._has_failed |= error is not None
                self.failure = describe_failure(self._callback, error)

    def after_fork_in_child(self) -> None:
        """Replace the lock, and take as told what the parent calls back for."""
        self._reset()


class Listeners:
    """Callbacks of one view, called one after the other and in the order of the changes."""

    def __init__(self, latest: Callable[[], Snapshot | None]) -> None:
        """Create them without any.

        Args:
            latest: returns the snapshot that callbacks are to know of.
        """
        self._latest = latest
        self._listeners: tuple[Listener, ...] = ()
        self._is_pending = False
        self.then: Callable[[], None] = lambda: None
        """Called after all of them, to call what others have to."""
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._calling = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Listener) -> None:
        """Notify a listener from now on."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove(self, listener: Listener) -> None:
        """Notify a listener no more."""
        with self._lock:
            self._listeners = tuple(known for known in self._listeners if known is not listener)

    def failing(self) -> Iterator[Listener]:
        """Yield the listeners whose last call has failed."""
        return (known for known in self._listeners if known.failure is not None)

    def subscribe(
        self,
        callback: Callable[[Change], object],
        path: str,
        *,
        owner: object,
        call_now: bool = False,
    ) -> Subscription:
        """Call ``callback`` when the value at ``path`` changes, or anything for an empty path.

        Args:
            callback: gets the change.
            path: where to look; empty for everything.
            owner: kept alive as long as the subscription.
            call_now: whether to call it at once, with the value that there is.
        """
        latest = self._latest()
        subscription = Subscription(callback, path, self, EMPTY if call_now else latest, owner)
        self.add(subscription)
        if call_now and latest is not None:
            subscription.notify(latest)
        if self._latest() is not latest:
            # It came in between, and the others may have been called already.
            self.publish()
        return subscription

    def publish(self) -> None:
        """Notify all in this thread, or in the one that is notifying them already."""
        self._is_pending = True
        # By this name, since a callback may fork, and the child then has another lock.
        calling = self._calling
        # A callback that refreshes comes here too, and must not wait for itself.
        while self._is_pending and calling.acquire(blocking=False):
            try:
                while self._is_pending:
                    self._is_pending = False
                    latest = self._latest()
                    if latest is not None:
                        for listener in self._listeners:
                            listener.notify(latest)
                        self.then()
            finally:
                calling.release()

    def after_fork_in_child(self) -> None:
        """Replace the locks and drop pending changes: the parent calls back for them."""
        self._is_pending = False
        self._reset()
        latest = self._latest()
        for listener in self._listeners:
            if isinstance(listener, Subscription):
                listener._told = latest
                listener._reset()


def change_between(before: Snapshot, after: Snapshot, path: str) -> Change | None:
    """Return the change at a path, or of anything for an empty path; ``None`` for none."""
    if not path:
        if before is not EMPTY and has_equal_values(before, after):
            return None
        return Change("", None if before is EMPTY else before, after, before, after)
    old, new = _value(before, path), _value(after, path)
    if old is new or (old is not _ABSENT is not new and is_same(old, new)):
        return None
    return Change(
        path,
        None if old is _ABSENT else old,
        None if new is _ABSENT else new,
        before,
        after,
    )


def has_equal_values(one: Snapshot, other: Snapshot) -> bool:
    """Return whether two snapshots of a view have the same values.

    Equal configurations are shared between the two, so identity is enough.
    """
    return one.configs.keys() == other.configs.keys() and all(
        one.configs[name] is config for name, config in other.configs.items()
    )


def _value(snapshot: Snapshot, path: str) -> Any:
    try:
        return find(snapshot.configs, path)
    except KeyError:
        return _ABSENT
