"""Holds the current snapshot and what is known about its freshness."""

import threading
import time
from collections.abc import Callable

from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client.errors import AuthError, ConfigSvcError, NotFoundError

__all__ = ["SnapshotStore"]


class SnapshotStore:
    """The snapshot of one view; swapped as a whole, so readers need no lock.

    ``current`` is what readers see: :data:`EMPTY` until there is a snapshot, and again in a
    forked child until somebody reads there, so that the way of a quick read is the same
    attribute in every case.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.current: Snapshot = EMPTY
        self._held: Snapshot | None = None
        self.previous: Snapshot | None = None
        """What was current before; ``None`` before the first change."""
        self.generation = 0
        """One more with every swap."""
        self.polls = 0
        """Requests made, also failed ones."""
        self.error: ConfigSvcError | None = None
        """What went wrong last; kept when things are well again."""
        self.failing = False
        """Whether the last request failed."""
        self.from_disk = False
        """Whether no server has confirmed the snapshot yet."""
        self._confirmed_at = 0.0
        self._changed = threading.Condition()

    @property
    def held(self) -> Snapshot | None:
        """The snapshot, whether readers see it already or not."""
        return self._held

    def age(self) -> float | None:
        """Return how many seconds ago the snapshot was last known to be current."""
        return None if self._held is None else max(0.0, self._clock() - self._confirmed_at)

    def begin(self) -> int:
        """Take note of a request and return the generation that its answer is good for."""
        with self._changed:
            self.polls += 1
            return self.generation

    def swap(self, snapshot: Snapshot, generation: int) -> Snapshot | bool | None:
        """Put ``snapshot`` in place, unless another came since ``generation``.

        An answer to an older question could be older than what is there.

        Returns:
            What was there before, ``None`` if nothing was, ``False`` if it stays.
        """
        with self._changed:
            if generation != self.generation:
                return False
            old = self._held
            self._held = self.current = snapshot
            self.previous = old
            self.generation += 1
            self._note_success()
            return old

    def confirm(self, generation: int) -> bool:
        """Take note that the snapshot of ``generation`` is current; tell whether it still is."""
        with self._changed:
            if generation == self.generation:
                self._note_success()
            return generation == self.generation

    def fail(self, error: ConfigSvcError) -> None:
        """Take note of a failed request."""
        with self._changed:
            self.error = error
            self.failing = True
            self._changed.notify_all()

    def load(self, snapshot: Snapshot, age: float) -> None:
        """Put a snapshot from the disk in place, unless there is one already."""
        with self._changed:
            if self._held is None:
                self._held = self.current = snapshot
                self.generation += 1
                self.from_disk = True
                self._confirmed_at = self._clock() - age
                self._changed.notify_all()

    def show(self) -> bool:
        """Let readers see the snapshot if there is one; tell whether there is."""
        with self._changed:
            if self._held is not None:
                self.current = self._held
            return self._held is not None

    def wait(self, timeout: float) -> bool:
        """Wait until there is a snapshot, or no hope to get one soon; tell whether there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._held is not None or self.is_refused(), timeout)
            return self._held is not None

    def is_refused(self) -> bool:
        """Whether the server said that there is nothing for us, which waiting won't change."""
        return self.failing and isinstance(self.error, AuthError | NotFoundError)

    def reset_after_fork(self) -> None:
        """Begin anew in a child: the lock may have been held, and nobody polls yet."""
        self._changed = threading.Condition()
        self.current = EMPTY

    def _note_success(self) -> None:
        self.failing = False
        self.from_disk = False
        self._confirmed_at = self._clock()
        self._changed.notify_all()
