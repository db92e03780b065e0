"""Waiters: requests that wait for a change, parked or asleep, never polling the database."""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager

from configsvc_server.cache.parking import Parked, Parking
from configsvc_server.db.listener import Heartbeat
from configsvc_server.telemetry.readings import WaiterReading

__all__ = ["ChangeSignal", "WaitSlot", "Waiters"]


class ChangeSignal:
    """Wakes those who have subscribed to a key when something of it changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: dict[Hashable, set[Callable[[], None]]] = defaultdict(set)
        self._all_woken_at = -math.inf
        self._closed = False

    @contextmanager
    def subscribe(self, key: Hashable, wake: Callable[[], None]) -> Iterator[None]:
        """Have every change of ``key`` call ``wake`` while the block runs.

        Subscribe first and read afterwards: then no change can fall between the two.

        Args:
            key: what to subscribe to.
            wake: called in any thread; must neither block nor raise.
        """
        with self._lock:
            self._subscribers[key].add(wake)
            is_closed = self._closed
        if is_closed:
            wake()
        try:
            yield
        finally:
            with self._lock:
                subscribers = self._subscribers[key]
                subscribers.discard(wake)
                if not subscribers:
                    del self._subscribers[key]

    def notify(self, *keys: Hashable) -> None:
        """Wake the subscribers of any of these keys."""
        with self._lock:
            woken = [wake for key in keys for wake in self._subscribers.get(key, ())]
        for wake in woken:
            wake()

    def notify_where(self, is_concerned: Callable[[Hashable], bool]) -> None:
        """Wake the subscribers of every key that is concerned."""
        with self._lock:
            keys = [key for key in self._subscribers if is_concerned(key)]
        self.notify(*keys)

    def notify_all(self) -> None:
        """Wake all subscribers."""
        with self._lock:
            self._all_woken_at = time.monotonic()
            woken = [wake for subscribers in self._subscribers.values() for wake in subscribers]
        for wake in woken:
            wake()

    @property
    def all_woken_at(self) -> float:
        """When all were woken for the last time, by the monotonic clock."""
        return self._all_woken_at

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
    """Seconds after which a waiter asleep in a thread checks whether its client is still there."""

    def __init__(
        self,
        signal: ChangeSignal,
        parking: Parking | None,
        *,
        granted: bool,
        on_woken: Callable[[float], None],
    ) -> None:
        self._signal = signal
        self._parking = parking
        self._on_woken = on_woken
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

        Raises:
            Parked: the server puts the request aside. The run after that has to read before it
                comes here: then nothing is yielded.
        """
        if self._parking is None:
            yield from self._asleep(key, timeout, is_abandoned)
            return
        parking = self._parking
        if parking.deadline is None:
            parking.deadline = time.monotonic() + timeout
            parking.kept.callback(self._answered, parking)
            parking.kept.enter_context(self._signal.subscribe(key, parking.changed))
            if self._signal.all_woken_at >= parking.begun:
                # Who sent the request was found out before it subscribed, and may be nobody now.
                parking.wake()
            yield
        is_over = self._signal.is_closed or parking.is_late(time.monotonic())
        if not is_over and not is_abandoned():
            parking.is_wanted = True
            raise Parked

    def _answered(self, parking: Parking) -> None:
        if parking.changed_at is not None:
            self._on_woken(time.monotonic() - parking.changed_at)

    def _asleep(
        self, key: Hashable, timeout: float, is_abandoned: Callable[[], bool]
    ) -> Iterator[None]:
        deadline = time.monotonic() + timeout
        changed = threading.Event()
        with self._signal.subscribe(key, changed.set):
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
    """Slots to wait in."""

    def __init__(
        self,
        signal: ChangeSignal,
        *,
        limit: int,
        heartbeat: Heartbeat,
        on_woken: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """Let ``limit`` requests wait at the same time.

        Args:
            signal: wakes them.
            limit: how many; 0 for none.
            heartbeat: whether changes of other servers are sure to be noticed.
            on_woken: called after the response to a request that was put aside and that a change
                has woken, with the seconds from the one to the other.
        """
        self._signal = signal
        self._limit = limit
        self._heartbeat = heartbeat
        self._on_woken = on_woken
        self._lock = threading.Lock()
        self._taken = self._refused_full = self._refused_not_listening = 0

    @property
    def is_closed(self) -> bool:
        """Whether nobody may wait any more."""
        return self._signal.is_closed

    @contextmanager
    def slot(self, parking: Parking | None = None) -> Iterator[WaitSlot]:
        """Yield a slot while the block runs, not granted when all are taken.

        Args:
            parking: where the request is put aside, so that it has the slot until it is
                answered, in all its runs; ``None`` to sleep in the thread.
        """
        with ExitStack() as stack:
            kept = stack if parking is None else parking.kept
            # What was kept by an earlier run is not acquired again.
            is_granted = parking is not None and parking.deadline is not None
            if not is_granted:
                is_granted = self._acquire(kept)
            yield WaitSlot(self._signal, parking, granted=is_granted, on_woken=self._on_woken)

    def reading(self) -> WaiterReading:
        """Return how many wait, and how many could not."""
        with self._lock:
            return WaiterReading(
                self._taken, self._limit, self._refused_full, self._refused_not_listening
            )

    def _acquire(self, kept: ExitStack) -> bool:
        """Take a slot until ``kept`` is closed, and return whether to wait in it."""
        with self._lock:
            if self._taken >= self._limit:
                self._refused_full += 1
                return False
            if not self._heartbeat.is_listening:
                self._refused_not_listening += 1
                return False
            self._taken += 1
        kept.callback(self._release)
        return True

    def _release(self) -> None:
        with self._lock:
            self._taken -= 1
