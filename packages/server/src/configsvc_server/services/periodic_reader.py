"""Periodic reader: reads of the database for scrapers of metrics, seldom and in bounded time."""

import threading
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

__all__ = ["PeriodicReader"]

T = TypeVar("T")


class PeriodicReader(ABC, Generic[T]):
    """Reads something for whoever scrapes, however often that is."""

    INTERVAL = 10.0
    """Seconds for which a reading counts, also one that has failed."""

    MAX_AGE = 60.0
    """Seconds after which a reading is shown no more, where there is no newer one."""

    def __init__(self, empty: T) -> None:
        """Create a reader that has read nothing yet.

        Args:
            empty: what is shown where nothing is known.
        """
        self._empty = self._latest = empty
        self._lock = threading.Lock()
        self._tried_at = self._read_at = float("-inf")

    @property
    def latest(self) -> T:
        """What was read last; empty where that is too long ago."""
        is_old = time.monotonic() - self._read_at > self.MAX_AGE
        return self._empty if is_old else self._latest

    def refresh(self) -> Exception | None:
        """Read, unless that was tried a moment ago; return what failed.

        Who comes while another thread reads does not wait for it.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if time.monotonic() - self._tried_at < self.INTERVAL:
                return None
            self._tried_at = time.monotonic()
            self._latest = self._read()
            self._read_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever it is, others go on
            return error
        finally:
            self._lock.release()
        return None

    @abstractmethod
    def _read(self) -> T:
        """Return what there is now."""
