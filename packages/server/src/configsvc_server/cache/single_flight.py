"""Single-flight cache: values in memory, loaded once for all who ask at the same time.

A value may be kept, and given out, only if nothing evicted it between the read that it was made
from and now; otherwise a slow reader would bring back what a writer has just evicted. Every load
is therefore announced before it begins, and an eviction cancels it: its value is thrown away, and
those who wait for it load again. Values that are given out come from loads that follow one
another, so no reader gets an older one than another got before. Those who ask for the same
meanwhile share the load, so that a crowd that wakes up together asks once.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from cachetools import LRUCache

from configsvc_server.db.listener import Heartbeat
from configsvc_server.telemetry.readings import CacheReading

__all__ = ["SingleFlightCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Load(Generic[V]):
    """Load that is under way."""

    __slots__ = ("done", "error", "is_cancelled", "is_last", "values")

    def __init__(self, *, is_last: bool) -> None:
        self.done = threading.Event()
        self.values: list[V] = []
        """The value, once there is one."""
        self.error: BaseException | None = None
        self.is_last = is_last
        """Whether those who wait for it take its value in any case: others wait until it is done,
        and load afterwards."""
        self.is_cancelled = False
        """Whether something has evicted the value since the load began."""


class _Entries(LRUCache[K, V]):
    """Values in memory, which knows how many went to make room for others."""

    displaced = 0

    def popitem(self) -> tuple[K, V]:
        """Remove the value that was used the longest time ago."""
        self.displaced += 1
        return super().popitem()


class SingleFlightCache(Generic[K, V]):
    """The most recently used values, up to a size."""

    ATTEMPTS = 3
    """Loads that an eviction may cancel before one is carried through."""

    def __init__(
        self, *, max_size: int, size_of: Callable[[V], int], heartbeat: Heartbeat | None
    ) -> None:
        """Create an empty cache.

        Args:
            max_size: how much it may hold, in the unit of ``size_of``.
            size_of: returns how much a value takes.
            heartbeat: whether evictions are sure to arrive; while they are not, every
                value is loaded anew. ``None`` for values that nothing makes wrong.
        """
        self._heartbeat = heartbeat
        self._max_size = max_size
        self._size_of = size_of
        self._lock = threading.Lock()
        self._entries: _Entries[K, V] = _Entries(max_size, getsizeof=size_of)
        self._loads: dict[K, _Load[V]] = {}
        self._hits = self._misses = self._changed = 0

    def get(self, key: K, load: Callable[[], V]) -> V:
        """Return the value in memory, or ``load`` it."""
        attempts = failures = 0
        while True:
            is_kept = self._heartbeat is None or self._heartbeat.is_listening
            with self._lock:
                entry = self._entries.get(key) if is_kept else None
                if entry is not None:
                    self._hits += 1
                    return entry
                if not attempts:
                    self._misses += 1
                flight = self._loads.get(key)
                is_first = flight is None
                if flight is None:
                    flight = _Load(is_last=attempts >= self.ATTEMPTS)
                    self._loads[key] = flight
                is_late = flight.is_cancelled
            if is_first:
                self._load(key, flight, load, is_kept=is_kept)
            else:
                flight.done.wait()
            if is_late:
                # It began before the eviction that the caller comes after.
                continue
            attempts += 1
            if flight.is_cancelled and not flight.is_last:
                continue
            if flight.error is None:
                return flight.values[0]
            failures += 1
            # For those who did not load, it need not be a failure: one of them tries again.
            if is_first or failures > 1:
                raise flight.error

    def reload(self, key: K, load: Callable[[], V]) -> V:
        """Return a value that is loaded from now on, and keep it for others."""
        self.evict(key)
        return self.get(key, load)

    def evict(self, key: K) -> None:
        """Remove a value, also one that is being loaded."""
        with self._lock:
            if self._entries.pop(key, None) is not None:
                self._changed += 1
            self._cancel(key)

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._changed += len(self._entries)
            displaced = self._entries.displaced
            self._entries.clear()
            # Some versions take one after the other for it, as if they made room.
            self._entries.displaced = displaced
            for key in list(self._loads):
                self._cancel(key)

    def reading(self, name: str, *, in_bytes: bool) -> CacheReading:
        """Return what it holds and how well it does.

        Args:
            name: what to call it.
            in_bytes: whether that is the unit of the sizes.
        """
        with self._lock:
            return CacheReading(
                name=name,
                entries=len(self._entries),
                hits=self._hits,
                misses=self._misses,
                changed=self._changed,
                displaced=self._entries.displaced,
                size=round(self._entries.currsize) if in_bytes else None,
                limit=self._max_size if in_bytes else None,
            )

    def __len__(self) -> int:
        return len(self._entries)

    def _cancel(self, key: K) -> None:
        flight = self._loads.get(key)
        if flight is not None:
            flight.is_cancelled = True
            if not flight.is_last:
                del self._loads[key]

    def _load(self, key: K, flight: _Load[V], load: Callable[[], V], *, is_kept: bool) -> None:
        try:
            flight.values.append(load())
        except BaseException as error:  # noqa: BLE001 - raised by whoever it concerns
            flight.error = error
        with self._lock:
            if self._loads.get(key) is flight:
                del self._loads[key]
                if is_kept and not flight.is_cancelled:
                    self._keep(key, flight.values)
        flight.done.set()

    def _keep(self, key: K, values: Sequence[V]) -> None:
        for value in values:
            if self._size_of(value) <= self._max_size:
                self._entries[key] = value
