"""Waiters: requests that wait for a change, asleep on an event, never polling the database."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from configsvc_server.db.listener import Heartbeat

__all__ = ["ChangeSignal", "WaitSlot", "Waiters"]


class ChangeSignal:
    """Wakes those who have subscribed to a key when something of it changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: dict[Hashable, set[threading.Event]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def subscribe(self, key: Hashable) -> Iterator[threading.Event]:
        """Yield an event that is set from now on by every change of ``key``.

        Subscribe first and read afterwards: then no change can fall between the two.
        """
        event = threading.Event()
        with self._lock:
            if self._closed:
                event.set()
            self._subscribers[key].add(event)
        try:
            yield event
        finally:
            with self._lock:
                subscribers = self._subscribers[key]
                subscribers.discard(event)
                if not subscribers:
                    del self._subscribers[key]

    def notify(self, *keys: Hashable) -> None:
        """Wake the subscribers of any of these keys."""
        with self._lock:
            events = [event for key in keys for event in self._subscribers.get(key, ())]
        for event in events:
            event.set()

    def notify_where(self, is_concerned: Callable[[Hashable], bool]) -> None:
        """Wake the subscribers of every key that is concerned."""
        with self._lock:
            keys = [key for key in self._subscribers if is_concerned(key)]
        self.notify(*keys)

    def notify_all(self) -> None:
        """Wake all subscribers."""
        with self._lock:
            events = [event for subscribers in self._subscribers.values() for event in subscribers]
        for event in events:
            event.set()

    @property
    def is_closed(self) -> bool:
        """Whether nobody may wait any more."""
        return self._closed

    def close(self) -> None:
        """Wake all subscribers, for the last time: the server is about to stop."""
        with self._lock:
            self._closed = True
        self.notify_all()


class WaitSlot:
    """Slot of one request that wants to wait (see :meth:`Waiters.slot`)."""

    CHECK_INTERVAL = 5.0
    """Seconds after which a waiter checks whether its client is still there."""

    def __init__(self, signal: ChangeSignal, *, granted: bool) -> None:
        self._signal = signal
        self.granted = granted
        """Whether the request may wait. It may not where too many do already, or while
        evictions do not arrive."""

    def changes(
        self,
        key: Hashable,
        *,
        timeout: float,
        is_abandoned: Callable[[], bool],
    ) -> Iterator[None]:
        """Yield at once, and then each time that something of ``key`` may have changed.

        It ends when the time is over, the client has gone, or the server stops.

        Args:
            key: what to subscribe to.
            timeout: how long to wait at most, in seconds.
            is_abandoned: returns whether the client has gone.
        """
        deadline = time.monotonic() + timeout
        with self._signal.subscribe(key) as changed:
            while True:
                yield
                if self._signal.is_closed:
                    return
                while not changed.wait(
                    min(self.CHECK_INTERVAL, max(0, deadline - time.monotonic()))
                ):
                    if time.monotonic() >= deadline or is_abandoned():
                        return
                changed.clear()


class Waiters:
    """Slots to wait in; waiters never use the ``--threads`` workers."""

    def __init__(self, signal: ChangeSignal, *, limit: int, heartbeat: Heartbeat) -> None:
        """Let ``limit`` requests wait at the same time.

        Args:
            signal: wakes them.
            limit: how many; 0 for none.
            heartbeat: whether changes of other servers are sure to be noticed.
        """
        self._signal = signal
        self._slots = threading.BoundedSemaphore(limit) if limit else None
        self._heartbeat = heartbeat

    @property
    def is_closed(self) -> bool:
        """Whether nobody may wait any more."""
        return self._signal.is_closed

    @contextmanager
    def slot(self) -> Iterator[WaitSlot]:
        """Yield a slot while the block runs, not granted when all are taken."""
        acquired = self._slots is not None and self._slots.acquire(blocking=False)
        try:
            yield WaitSlot(self._signal, granted=acquired and self._heartbeat.is_listening)
        finally:
            if acquired and self._slots is not None:
                self._slots.release()
