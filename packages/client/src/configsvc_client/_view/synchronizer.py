"""Brings what the server says into a view, whoever asks."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from configsvc_client._binding.bound import Bound
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.disk_cache import DiskCache
from configsvc_client._view.listeners import Dispatcher
from configsvc_client._view.snapshot_source import Fetched
from configsvc_client._view.store import SnapshotStore

__all__ = ["Outcome", "SnapshotFeed", "Synchronizer"]


class SnapshotFeed(Protocol):
    """Where snapshots come from."""

    def fetch(self, current: Snapshot | None, *, wait: float = 0.0, fresh: bool = False) -> Fetched:
        """Return the snapshot if it is another than ``current``.

        Raises:
            ConfigSvcError: it can't be had now.
        """


class Outcome:
    """What became of one request."""

    __slots__ = ("changed", "granted", "overtaken")

    def __init__(self, *, changed: bool, granted: bool, overtaken: bool = False) -> None:
        self.overtaken = overtaken
        """Whether another answer came first, which may be older."""
        self.changed = changed
        """Whether the view shows something else now."""
        self.granted = granted
        """Whether the server waited."""


class Synchronizer:
    """Fetches, swaps, and tells everybody in the right order.

    First the snapshot is in its place, then bound objects follow, then callbacks are called,
    and at last it is saved.
    """

    def __init__(
        self, store: SnapshotStore, dispatcher: Dispatcher, disk: DiskCache | None
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._disk = disk
        self._bindings: Sequence[Bound[object]] = ()
        self._begin()

    def _begin(self) -> None:
        # A validator of a bound type may well refresh the view: the same thread comes again.
        self._following = threading.RLock()
        self._saving = threading.Lock()

    def update(self, feed: SnapshotFeed, *, wait: float = 0.0, fresh: bool = False) -> Outcome:
        """Ask ``feed`` once.

        Raises:
            ConfigSvcError: it has no answer; what is there stays, and the caller decides
                whether to report it.
        """
        store = self._store
        generation = store.begin()
        fetched = feed.fetch(store.held, wait=wait, fresh=fresh)
        snapshot, held = fetched.snapshot, store.held
        if snapshot is None or (held is not None and _is_equal(held, snapshot)):
            is_current = store.confirm(generation)
            return Outcome(changed=False, granted=fetched.granted, overtaken=not is_current)
        old = store.swap(snapshot, generation)
        if old is False:
            # Something else came in the meantime; the next question will tell.
            return Outcome(changed=True, granted=fetched.granted, overtaken=True)
        self.follow()
        if isinstance(old, Snapshot) and not _has_equal_values(old, snapshot):
            self._dispatcher.publish(old, snapshot)
        self._save(snapshot, fetched.body)
        return Outcome(changed=True, granted=fetched.granted)

    def load_disk(self) -> None:
        """Use the copy on the disk if there is nothing better."""
        if self._disk is None or self._store.held is not None:
            return
        saved = self._disk.load()
        if saved is not None:
            self._store.load(saved.snapshot, saved.age)
            self.follow()

    def bind(self, make: Callable[[Snapshot], Bound[object]]) -> Bound[object]:
        """Return what ``make`` makes, kept fresh from here on."""
        with self._following:
            bound = make(self._store.held or EMPTY)
            self._bindings = (*self._bindings, bound)
            return bound

    def bindings(self) -> Sequence[Bound[object]]:
        """Return what is bound."""
        return self._bindings

    def reset_after_fork(self) -> None:
        """Begin anew in a child."""
        self._begin()

    def follow(self) -> None:
        """Have everything that is bound follow the snapshot, or wait until it has."""
        with self._following:
            snapshot = self._store.held
            if snapshot is not None:
                for bound in self._bindings:
                    bound._follow(snapshot)

    def _save(self, snapshot: Snapshot, body: bytes) -> None:
        if self._disk is None:
            return
        with self._saving:
            if self._store.held is snapshot:
                self._disk.save(snapshot, body)


def _is_equal(held: Snapshot, fetched: Snapshot) -> bool:
    """Compare contents too, since a wrong ETag must not hide a change."""
    return (
        held.etag == fetched.etag
        and _has_equal_values(held, fetched)
        and all(
            held.provenance(name) == fetched.provenance(name)
            and held.defaults(name) is fetched.defaults(name)
            for name in fetched.configs
        )
    )


def _has_equal_values(held: Snapshot, fetched: Snapshot) -> bool:
    # What is equal is shared between the two, so identity is enough.
    return held.configs.keys() == fetched.configs.keys() and all(
        held.configs[name] is config for name, config in fetched.configs.items()
    )
