"""Single-flight cache: values in memory, loaded once for all who ask at the same time.

A value may be kept only if nothing evicted it between the read that it was made from and the
time at which it is stored; otherwise a slow reader would put back what a writer has just evicted.
Every load is therefore announced before it begins, and an eviction cancels it. Those who ask
for the same meanwhile share the load, so that a crowd that wakes up together asks once.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

from configsvc_server.db.listener import Heartbeat

__all__ = ["SingleFlightCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Load(Generic[V]):
    """Load that is under way."""

    __slots__ = ("done", "value")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: V | None = None


class SingleFlightCache(Generic[K, V]):
    """The most recently used values, up to a size."""

    def __init__(self, *, max_size: int, size_of: Callable[[V], int], heartbeat: Heartbeat) -> None:
        """Create an empty cache.

        Args:
            max_size: how much it may hold, in the unit of ``size_of``.
            size_of: returns how much a value takes.
            heartbeat: whether evictions are sure to arrive; while they are not, every
                value is loaded anew.
        """
        self._heartbeat = heartbeat
        self._max_size = max_size
        self._size_of = size_of
        self._lock = threading.Lock()
        self._entries: LRUCache[K, V] = LRUCache(max_size, getsizeof=size_of)
        self._loads: dict[K, _Load[V]] = {}

    def get(self, key: K, load: Callable[[], V]) -> V:
        """Return the value in memory, or ``load`` it."""
        if not self._heartbeat.is_listening:
            return load()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                return entry
            flight = self._loads.get(key)
            is_first = flight is None
            if flight is None:
                flight = self._loads[key] = _Load()
        if not is_first:
            flight.done.wait()
            # The one who loaded may have failed; that need not be everybody's failure.
            return flight.value if flight.value is not None else load()
        try:
            flight.value = value = load()
        finally:
            self._finish(key, flight)
        return value

    def evict(self, key: K) -> None:
        """Remove a value, also one that is being loaded."""
        with self._lock:
            self._entries.pop(key, None)
            self._loads.pop(key, None)

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._entries.clear()
            self._loads.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _finish(self, key: K, load: _Load[V]) -> None:
        value = load.value
        with self._lock:
            if self._loads.get(key) is load:
                del self._loads[key]
                if value is not None and self._size_of(value) <= self._max_size:
                    self._entries[key] = value
        load.done.set()
