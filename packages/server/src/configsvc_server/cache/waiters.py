"""Requests that wait for a change: asleep on an event, never polling the database."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["ChangeSignal", "Waiters"]

T = TypeVar("T")


class ChangeSignal:
    """Wakes those who wait for a change of something."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[Hashable, set[threading.Event]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def subscribe(self, topic: Hashable) -> Iterator[threading.Event]:
        """Give an event that is set from now on by every change of ``topic``.

        Subscribe first and read afterwards: then no change can fall between the two.
        """
        event = threading.Event()
        with self._lock:
            if self._closed:
                event.set()
            self._waiters[topic].add(event)
        try:
            yield event
        finally:
            with self._lock:
                waiters = self._waiters[topic]
                waiters.discard(event)
                if not waiters:
                    del self._waiters[topic]

    def notify(self, *topics: Hashable) -> None:
        """Wake those who wait for one of these."""
        with self._lock:
            events = [event for topic in topics for event in self._waiters.get(topic, ())]
        for event in events:
            event.set()

    def notify_all(self) -> None:
        """Wake everybody."""
        with self._lock:
            events = [event for waiters in self._waiters.values() for event in waiters]
        for event in events:
            event.set()

    @property
    def is_closed(self) -> bool:
        """Whether nobody shall wait any more."""
        return self._closed

    def close(self) -> None:
        """Wake everybody, for the last time: the server is about to stop."""
        with self._lock:
            self._closed = True
        self.notify_all()


class Waiters:
    """Lets callers wait for news, but never so many that they take every thread of the server."""

    LOOK = 5.0
    """Seconds after which a waiter looks whether anybody still waits for its answer."""

    def __init__(self, signal: ChangeSignal, *, limit: int, is_fresh: Callable[[], bool]) -> None:
        """Let ``limit`` callers wait at the same time.

        Args:
            signal: wakes them.
            limit: how many; 0 for none.
            is_fresh: whether news of changes is sure to arrive.
        """
        self._signal = signal
        self._places = threading.BoundedSemaphore(limit) if limit else None
        self._is_fresh = is_fresh

    def wait(
        self,
        look: Callable[[], tuple[T, bool]],
        *,
        topic: Callable[[], Hashable],
        timeout: float,
        is_abandoned: Callable[[], bool],
        pause: float = 0.0,
    ) -> tuple[T, bool]:
        """Return what there is to see once it is news.

        Args:
            look: returns what there is to see now, and whether it is news.
            topic: returns whose changes may bring news; called after the first look.
            timeout: how long to wait at most, in seconds.
            is_abandoned: tells whether the caller has gone away.
            pause: how long to rest between being woken and looking, in seconds.

        Returns:
            What was seen last, and whether the wish to wait was granted. It is not where too
            many wait already, or while news of changes does not arrive.
        """
        seen, is_news = look()
        if is_news or self._signal.is_closed:
            return seen, True
        with self._place() as granted:
            if not granted or not self._is_fresh():
                return seen, False
            deadline = time.monotonic() + timeout
            with self._signal.subscribe(topic()) as changed:
                while True:
                    seen, is_news = look()
                    if is_news or self._signal.is_closed:
                        return seen, True
                    while not changed.wait(min(self.LOOK, max(0, deadline - time.monotonic()))):
                        if time.monotonic() >= deadline or is_abandoned():
                            return seen, True
                    changed.clear()
                    if pause:
                        time.sleep(min(pause, max(0, deadline - time.monotonic())))

    @contextmanager
    def _place(self) -> Iterator[bool]:
        """Give a place to wait while the block runs, or ``False`` when all are taken."""
        granted = self._places is not None and self._places.acquire(blocking=False)
        try:
            yield granted
        finally:
            if granted and self._places is not None:
                self._places.release()
