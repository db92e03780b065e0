"""Answers in memory, as fresh as the news of changes (design, section 4).

An answer may be kept only if nothing changed between the read it was made from and the
moment it is put away; otherwise a slow reader would put back what a writer has just evicted.
Every read is therefore announced before it begins, and a change cancels it. Those who ask
for the same meanwhile share the read, so that a crowd that wakes up together asks once.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

__all__ = ["ReadCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Load(Generic[V]):
    """A read that is under way."""

    __slots__ = ("done", "value")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: V | None = None


class ReadCache(Generic[K, V]):
    """The most recently used answers, up to a size."""

    def __init__(
        self, *, max_size: int, size_of: Callable[[V], int], is_fresh: Callable[[], bool]
    ) -> None:
        """Make an empty cache.

        Args:
            max_size: how much it may hold, in the unit of ``size_of``.
            size_of: how much an answer takes.
            is_fresh: whether news of changes is sure to arrive; while it is not, every
                answer is read anew.
        """
        self._is_fresh = is_fresh
        self._max_size = max_size
        self._size_of = size_of
        self._lock = threading.Lock()
        self._entries: LRUCache[K, V] = LRUCache(max_size, getsizeof=size_of)
        self._loads: dict[K, _Load[V]] = {}

    def get(self, key: K, read: Callable[[], V]) -> V:
        """Return the answer in memory, or ``read`` it."""
        if not self._is_fresh():
            return read()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                return entry
            load = self._loads.get(key)
            is_mine = load is None
            if load is None:
                load = self._loads[key] = _Load()
        return self._read(key, load, read) if is_mine else self._share(load, read)

    def evict(self, key: K) -> None:
        """Forget an answer, also one that is being read."""
        with self._lock:
            self._entries.pop(key, None)
            self._loads.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._loads.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _read(self, key: K, load: _Load[V], read: Callable[[], V]) -> V:
        try:
            value = read()
            load.value = value
        finally:
            with self._lock:
                is_current = self._loads.get(key) is load
                if is_current:
                    del self._loads[key]
                if is_current and load.value is not None:
                    self._keep(key, load.value)
            load.done.set()
        return value

    def _keep(self, key: K, value: V) -> None:
        if self._size_of(value) <= self._max_size:
            self._entries[key] = value

    @staticmethod
    def _share(load: _Load[V], read: Callable[[], V]) -> V:
        load.done.wait()
        # The one who read may have failed; that need not be everybody's failure.
        return load.value if load.value is not None else read()
