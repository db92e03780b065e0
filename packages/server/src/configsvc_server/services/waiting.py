"""Requests that wait for a change: asleep on an event, never polling the database."""

import threading
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

__all__ = ["ChangeSignal", "WaiterLimit"]


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


class WaiterLimit:
    """Keeps waiters from taking every thread of the server."""

    def __init__(self, limit: int) -> None:
        self._places = threading.BoundedSemaphore(limit) if limit else None

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Give a place to wait while the block runs, or ``False`` when all are taken."""
        granted = self._places is not None and self._places.acquire(blocking=False)
        try:
            yield granted
        finally:
            if granted and self._places is not None:
                self._places.release()
