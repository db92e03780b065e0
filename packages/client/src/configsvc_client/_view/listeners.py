"""Listeners: callbacks of a view, and the changes that they get."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Final

from configsvc_client._values.frozen import is_same
from configsvc_client._values.paths import find
from configsvc_client._values.snapshot import Snapshot

__all__ = ["Change", "Listeners", "Subscription"]

_log = getLogger("configsvc_client")

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a view, as a callback gets it.

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


class Subscription:
    """Subscription of a callback to changes, until :meth:`cancel`.

    Example:
        >>> app.on_change(print, "database.pool_size")
        <Subscription to 'database.pool_size'>
    """

    def __init__(
        self,
        callback: Callable[[Change], object],
        path: str,
        remove: "Callable[[Subscription], None]",
    ) -> None:
        self._callback = callback
        self._path = path
        self._remove = remove
        self._has_failed = False

    def __repr__(self) -> str:
        return f"<Subscription to {repr(self._path) if self._path else 'everything'}>"

    def cancel(self) -> None:
        """Stop calling the callback; a call that is under way goes on.

        Example:
            >>> subscription = app.on_change(print)
            >>> subscription.cancel()
            >>> client.configurations.update(database, config={"pool_size": 20}).version
            4
        """
        self._remove(self)

    def _notify(self, before: Snapshot, after: Snapshot) -> None:
        change = self._change(before, after)
        if change is None:
            return
        try:
            self._callback(change)
        except (Exception, SystemExit):  # noqa: BLE001 - it must not end the thread
            if self._has_failed:
                _log.debug("%r failed again", self, exc_info=True)
            else:
                _log.exception("%r failed; it is called again at the next change", self)
            self._has_failed = True

    def _change(self, before: Snapshot, after: Snapshot) -> Change | None:
        if not self._path:
            return Change("", before, after, before, after)
        old, new = _value(before, self._path), _value(after, self._path)
        if old is new or (old is not _ABSENT is not new and is_same(old, new)):
            return None
        return Change(
            self._path,
            None if old is _ABSENT else old,
            None if new is _ABSENT else new,
            before,
            after,
        )


class Listeners:
    """Callbacks of one view, called one after the other and in the order of the changes."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()
        self._pending: deque[tuple[Snapshot, Snapshot]] = deque()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._calling = threading.Lock()

    def subscribe(self, callback: Callable[[Change], object], path: str) -> Subscription:
        """Call ``callback`` when the value at ``path`` changes, or anything for an empty path."""
        subscription = Subscription(callback, path, self._unsubscribe)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def publish(self, before: Snapshot, after: Snapshot) -> None:
        """Call the callbacks in this thread, or in the one that is calling them already.

        Args:
            before: the snapshot before the change.
            after: the snapshot after it.
        """
        self._pending.append((before, after))
        # By this name, since a callback may fork, and the child then has another lock.
        calling = self._calling
        # A callback that refreshes comes here too, and must not wait for itself.
        while self._pending and calling.acquire(blocking=False):
            try:
                while self._pending:
                    change = self._pending.popleft()
                    for subscription in self._subscriptions:
                        subscription._notify(*change)
            finally:
                calling.release()

    def after_fork_in_child(self) -> None:
        """Replace the locks and drop pending changes: the parent calls back for them."""
        self._pending.clear()
        self._reset()

    def _unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)


def _value(snapshot: Snapshot, path: str) -> Any:
    try:
        return find(snapshot.configs, path)
    except KeyError:
        return _ABSENT
