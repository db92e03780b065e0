"""Tells callbacks what has changed."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Final

from configsvc_client._values.frozen import is_same
from configsvc_client._values.paths import find
from configsvc_client._values.snapshot import Snapshot

__all__ = ["Change", "Dispatcher", "Subscription"]

_log = getLogger("configsvc_client")

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """What a callback gets to know.

    Example:
        >>> app.on_change(lambda change: print(change.old, "→", change.new), "database.pool_size")
        <Subscription to 'database.pool_size'>
    """

    path: str
    """What was subscribed to; empty for the whole view."""
    old: Any
    """The value before; ``None`` where there was none."""
    new: Any
    """The value now; ``None`` where there is none any more."""
    before: Snapshot
    """Everything as it was."""
    after: Snapshot
    """Everything as it is; reads of the view give this or something newer."""

    @property
    def configurations(self) -> tuple[str, ...]:
        """Names of all configurations that came, went or changed, in order.

        Example:
            >>> app.on_change(lambda change: print(change.configurations))
            <Subscription to everything>
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
    """A callback that is told of changes, until :meth:`cancel`.

    Example:
        >>> subscription = app.on_change(print)
        >>> subscription.cancel()
    """

    def __init__(
        self,
        callback: Callable[[Change], object],
        path: str,
        forget: "Callable[[Subscription], None]",
    ) -> None:
        self._callback = callback
        self._path = path
        self._forget = forget
        self._has_failed = False

    def __repr__(self) -> str:
        return f"<Subscription to {repr(self._path) if self._path else 'everything'}>"

    def cancel(self) -> None:
        """Call it no more; a call that is under way goes on.

        Example:
            >>> subscription.cancel()
        """
        self._forget(self)

    def _tell(self, before: Snapshot, after: Snapshot) -> None:
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


class Dispatcher:
    """Calls the callbacks of one view, one after the other and in the order of the changes."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()
        self._waiting: deque[tuple[Snapshot, Snapshot]] = deque()
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._calling = threading.Lock()

    def subscribe(self, callback: Callable[[Change], object], path: str) -> Subscription:
        """Call ``callback`` when what is at ``path`` changes."""
        subscription = Subscription(callback, path, self._forget)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def publish(self, before: Snapshot, after: Snapshot) -> None:
        """Tell everybody, here or, if another thread is at it, there."""
        self._waiting.append((before, after))
        # By this name, since a callback may fork, and the child then has another lock.
        calling = self._calling
        # A callback that refreshes comes here too, and must not wait for itself.
        while self._waiting and calling.acquire(blocking=False):
            try:
                while self._waiting:
                    change = self._waiting.popleft()
                    for subscription in self._subscriptions:
                        subscription._tell(*change)
            finally:
                calling.release()

    def reset_after_fork(self) -> None:
        """Begin anew in a child; what was under way is the parent's."""
        self._waiting.clear()
        self._begin()

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)


def _value(snapshot: Snapshot, path: str) -> Any:
    try:
        return find(snapshot.configs, path)
    except KeyError:
        return _ABSENT
