"""Snapshot store: the current snapshot of a view and its age."""

import copy
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from configsvc_client._fork import own_process
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client.errors import (
    AuthError,
    ClosedError,
    ConfigFileError,
    ConfigSvcError,
    NotFoundError,
)

__all__ = ["Mirror", "Reads", "SnapshotStore", "reads_of", "snapshot_of", "without_traceback"]

_FINAL: Final = (AuthError, ClosedError, ConfigFileError, NotFoundError)
"""Failures that waiting won't change."""

# No name has it: half of a character can't be stored. A dict with keys that are all strings is
# quicker to read.
_SNAPSHOT: Final = "\ud800 snapshot"

Reads: TypeAlias = dict[Any, Any]
"""Configurations by name, and their snapshot by a key that nobody else has.

One object, so that no two reads disagree on which snapshot is the present one; and a dict that is
no subclass, which is quicker to read.
"""


def reads_of(snapshot: Snapshot) -> Reads:
    """Return what readers of a snapshot go by."""
    reads: Reads = dict(snapshot.configs)
    reads[_SNAPSHOT] = snapshot
    return reads


def snapshot_of(reads: Reads) -> Snapshot:
    """Return the snapshot that readers go by."""
    snapshot: Snapshot = reads[_SNAPSHOT]
    return snapshot


class Mirror(Protocol):
    """View that reads are made from."""

    _reads: Reads


class SnapshotStore:
    """Snapshot of one view, replaced as a whole, so that readers need no lock.

    Readers see ``current``. It is :data:`EMPTY` until there is a snapshot, and again in a forked
    child until its first read, which thereby notices that it has to start polling.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.own: object = own_process()
        """Flag that is false in a forked child which has not been renewed yet."""
        self._reads = reads_of(EMPTY)
        self._mirror: Callable[[], Mirror | None] = lambda: None
        self._hidden = False
        self._held: Snapshot | None = None
        self.previous: Snapshot | None = None
        """Snapshot before; ``None`` before the first change."""
        self.generation: int = 0
        """Number of snapshots so far."""
        self.polls: int = 0
        """Number of requests so far, also failed ones."""
        self.failures: int = 0
        """Number of failed requests so far."""
        self.error: ConfigSvcError | None = None
        """Last failure; kept when requests succeed again."""
        self.failing: bool = False
        """Whether the last request failed."""
        self.raw: Snapshot | None = None
        """Snapshot as it was fetched: ``held`` without overrides."""
        self.stand_in: str | None = None
        """``disk`` or ``fallback``, where no server has confirmed the snapshot yet."""
        self.asked_at: float = 0.0
        """Time at which the request began that confirmed the snapshot last."""
        self.confirmed_at: float = 0.0
        """Time at which the snapshot was last known to be current."""
        self._watchers: tuple[Callable[[], None], ...] = ()
        self._reset()

    def _reset(self) -> None:
        self._condition = threading.Condition()

    def unhide(self) -> None:
        """Let readers see snapshots again, once :meth:`show` is called."""
        with self._condition:
            self._hidden = False

    def mirror_to(self, mirror: "Mirror") -> None:
        """Set what readers see as an attribute of a view too, while it lives.

        Each read goes by it: an attribute less to look up is a tenth of what a read costs.
        """
        self._mirror = weakref.ref(mirror)
        mirror._reads = self._reads

    @property
    def current(self) -> Snapshot:
        """Snapshot that readers see, or :data:`EMPTY`."""
        return snapshot_of(self._reads)

    def newest(self) -> Snapshot | None:
        """Return the snapshot, whether readers see it already or not.

        Not before those that see it do: of two reads, the later one is never the older.
        """
        with self._condition:
            return self._held

    @property
    def held(self) -> Snapshot | None:
        """Snapshot, whether readers see it already or not."""
        return self._held

    def age(self) -> float | None:
        """Return the seconds since the snapshot was last known to be current.

        A fallback never was: there is ``None``, as without a snapshot.
        """
        if self._held is None or self.stand_in == "fallback":
            return None
        return max(0.0, self._clock() - self.confirmed_at)

    def begin(self) -> int:
        """Record a request and return the generation that its response is good for."""
        with self._condition:
            self.polls += 1
            return self.generation

    def swap(
        self,
        snapshot: Snapshot,
        generation: int,
        *,
        raw: Snapshot | None = None,
        confirmed_at: float | None = None,
    ) -> Snapshot | bool | None:
        """Put ``snapshot`` in place, unless another came since ``generation``.

        The response to an older request could be older than what is there.

        Args:
            snapshot: the snapshot.
            generation: the result of :meth:`begin`.
            raw: the snapshot as it was fetched, if it is another.
            confirmed_at: the time at which it was current; now without it.

        Returns:
            The snapshot before, ``None`` if there was none, ``False`` if it stays.
        """
        with self._condition:
            if generation != self.generation:
                return False
            old = self._held
            self._put(snapshot, raw)
            self.previous = old
            self._note_success(confirmed_at)
            return old

    def confirm(self, generation: int, *, confirmed_at: float | None = None) -> bool:
        """Record that the snapshot of ``generation`` is current; return whether it still is.

        Args:
            generation: the result of :meth:`begin`.
            confirmed_at: the time at which it was current; now without it.
        """
        with self._condition:
            if generation == self.generation:
                self._note_success(confirmed_at)
            return generation == self.generation

    def fail(self, error: ConfigSvcError, *, is_own: bool = True) -> None:
        """Record a failed request.

        Args:
            error: the failure.
            is_own: whether this process made the request.
        """
        with self._condition:
            self.error = without_traceback(error)
            self.failing = True
            self.failures += is_own
            self._notify()

    def load(
        self,
        snapshot: Snapshot,
        age: float,
        *,
        raw: Snapshot | None = None,
        stand_in: str = "disk",
    ) -> bool:
        """Put a snapshot that is not from the server in place, unless there is one already.

        Args:
            snapshot: the snapshot.
            age: seconds since it was known to be current.
            raw: the snapshot without overrides, if it is another.
            stand_in: where it is from: ``disk`` or ``fallback``.

        Returns:
            Whether it is in place.
        """
        with self._condition:
            if self._held is not None:
                return False
            self._put(snapshot, raw)
            self.stand_in = stand_in
            self.confirmed_at = self._clock() - age
            self._notify()
            return True

    def show(self) -> bool:
        """Let readers see the snapshot, and return whether there is one."""
        with self._condition:
            if self._held is not None and not self._hidden and self.current is not self._held:
                self._show(self._held)
            return self._held is not None

    def hide(self) -> None:
        """Hide the snapshot for good: each read asks for it, and can look for a newer one."""
        with self._condition:
            self._hidden = True
            self._show(EMPTY)

    def wait(self, timeout: float) -> bool:
        """Wait until there is a snapshot, or no hope to get one soon.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether there is a snapshot.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._held is not None or self.is_refused(), timeout)
            return self._held is not None

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` whenever :meth:`wait` may have an end, for those who can't block.

        It is called under the lock, so it must be quick, raise nothing, and ask for nothing
        that takes the lock.
        """
        self._watchers = (*self._watchers, watcher)

    def is_refused(self) -> bool:
        """Return whether the last request failed in a way that waiting won't change."""
        return self.failing and isinstance(self.error, _FINAL)

    def after_fork_in_child(self) -> None:
        """Replace the lock, which may have been held, and hide the snapshot: nobody polls yet."""
        self._reset()
        self._hidden = False
        self._show(EMPTY)

    def _put(self, snapshot: Snapshot, raw: Snapshot | None) -> None:
        self.raw = snapshot if raw is None else raw
        self._held = snapshot
        self.generation += 1
        if not self._hidden:
            self._show(snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        self._reads = reads_of(snapshot)
        mirror = self._mirror()
        if mirror is not None:
            mirror._reads = self._reads

    def _note_success(self, confirmed_at: float | None) -> None:
        self.failing = False
        # The wall clock, by which a copy on disk is dated, may have been set since.
        earliest = 0.0 if self.stand_in else self.confirmed_at
        self.stand_in = None
        self.confirmed_at = self._clock() if confirmed_at is None else max(earliest, confirmed_at)
        self._notify()

    def _notify(self) -> None:
        self._condition.notify_all()
        for watcher in self._watchers:
            watcher()


def without_traceback(error: ConfigSvcError) -> ConfigSvcError:
    """Return a copy of an error to keep or to raise again.

    A traceback keeps every frame alive, and grows with each time that one object is raised.
    """
    fresh = copy.copy(error)
    cause = error.__cause__
    fresh.__cause__ = cause.with_traceback(None) if cause is not None else None
    fresh.__suppress_context__ = True
    return fresh
