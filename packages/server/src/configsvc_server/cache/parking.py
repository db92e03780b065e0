"""Parking: a request that waits without a thread, put aside by the server and run again.

See decision 0018.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

__all__ = ["Parked", "Parking"]


class Parked(Exception):  # noqa: N818 - nothing has failed
    """The request is to be put aside, and has no response yet."""


class Parking:
    """What is known of one request through all its runs, and whether it is put aside."""

    def __init__(self, resume: Callable[[], None]) -> None:
        """Prepare for a request.

        Args:
            resume: has the request run again; called in any thread, must neither block nor raise.
        """
        self._resume = resume
        self._lock = threading.Lock()
        self._is_parked = False
        self._is_woken = False
        self.begun = time.monotonic()
        """Before its first run, by the monotonic clock."""
        self.is_wanted = False
        """Whether the run asks to be put aside."""
        self.deadline: float | None = None
        """When the wait is over, by the monotonic clock; ``None`` before it is granted."""
        self.changed_at: float | None = None
        """When what it waits for has changed since it was put aside, by the monotonic clock."""
        self.kept = ExitStack()
        """What the request holds until it is answered: its slot and its subscription."""
        self.position: tuple[object, ...] | None = None
        """How far earlier runs have read a feed."""
        self.request_id: str | None = None
        """The id that the first run gave it."""
        self.is_counted = False
        """Whether the rate limit of the principal has counted it."""
        self.started: float | None = None
        """When the first run began, by the performance counter."""

    def is_late(self, now: float) -> bool:
        """Return whether the time to wait is over, by the monotonic clock."""
        return self.deadline is not None and now >= self.deadline

    def begin(self) -> None:
        """Begin a run, which sees everything that has happened until now."""
        with self._lock:
            self._is_woken = False
            self.is_wanted = False

    def park(self) -> None:
        """Put the request aside, or run it again if something has happened during its run."""
        with self._lock:
            self._is_parked = not self._is_woken
            if self._is_parked:
                # What has woken it before was no news.
                self.changed_at = None
                return
        self._resume()

    def changed(self) -> None:
        """Have the request run again: there may be something new."""
        self._wake(time.monotonic())

    def wake(self) -> None:
        """Have the request run again: nobody may wait for it any more."""
        self._wake(None)

    def _wake(self, changed_at: float | None) -> None:
        with self._lock:
            self._is_woken = True
            if self.changed_at is None:
                self.changed_at = changed_at
            if not self._is_parked:
                return
            self._is_parked = False
        self._resume()

    def close(self) -> None:
        """Give back what the request holds; it is answered."""
        self.kept.close()
