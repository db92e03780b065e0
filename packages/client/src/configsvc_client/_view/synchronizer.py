"""Synchronizer: puts a fetched snapshot in place, in the order that readers rely on."""

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.listeners import Listeners, has_equal_values
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore

# Most clients have no copies on disk and no layers, and start sooner without the modules.
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from configsvc_client._binding.binding import Binding
    from configsvc_client._local.layers import ViewLayers
    from configsvc_client._view.disk_cache import DiskCache
    from configsvc_client._view.rejections import Reason

__all__ = ["Outcome", "Synchronizer"]


class Outcome(NamedTuple):
    """Outcome of one update."""

    has_change: bool
    """Whether the server had another snapshot than the view."""
    granted: bool
    """Whether the server agreed to wait."""
    overtaken: bool = False
    """Whether another response came first, which may be older."""


class Synchronizer:
    """Applies a snapshot to everything that depends on it.

    First the snapshot is put in place, then bound objects are updated, then callbacks are
    called, and at last it is saved. What fails on the way is tried again by the next update,
    whether there is a newer snapshot then or not.

    Where the processes of a host share their polls, those that follow wait for the copy, so it
    is saved before anything that may be slow; and only the process that leads saves.
    """

    def __init__(
        self,
        store: SnapshotStore,
        listeners: Listeners,
        disk: "DiskCache | None",
        layers: "ViewLayers | None" = None,
    ) -> None:
        self._layers = layers
        self._store = store
        self._listeners = listeners
        self.disk = disk
        """Copy on disk; ``None`` where there is none."""
        self.saves = True
        """Whether this process saves what it fetches."""
        self.saves_first = False
        """Whether the copy is saved before bound objects are updated."""
        self.saved: Snapshot | None = None
        """Snapshot that this process knows to be on the disk."""
        self._bindings: Sequence[Binding[Any]] = ()
        listeners.then = self._tell
        self._reset()

    def _reset(self) -> None:
        # A validator of a bound type may well refresh the view: the same thread comes again.
        self._following = threading.RLock()
        self._saving = threading.Lock()

    def update(
        self,
        source: SnapshotSource,
        *,
        wait: float = 0.0,
        bypass_cache: bool = False,
        patience: float | None = None,
    ) -> Outcome:
        """Fetch from ``source`` once, and put a new snapshot in place.

        Args:
            source: the source of the snapshots.
            wait: seconds that the server may wait for a change.
            bypass_cache: whether to fetch even if nothing changed.
            patience: seconds to wait for the response; ``None`` for the timeout of the client.

        Raises:
            ConfigSvcError: the request failed; the view stays as it is, and the caller
                decides whether to report it.
        """
        store = self._store
        asked_at = time.monotonic()
        generation = store.begin()
        fetched = source.fetch(store.raw, wait=wait, bypass_cache=bypass_cache, patience=patience)
        snapshot, raw = fetched.snapshot, store.raw
        if snapshot is None or (raw is not None and _is_equal(raw, snapshot)):
            is_current = store.confirm(generation)
            if is_current:
                store.asked_at = max(store.asked_at, asked_at)
            if snapshot is not None and raw is not None and self.saved is not raw:
                self._save(raw, fetched.body)
            self.catch_up()
            return Outcome(has_change=False, granted=fetched.granted, overtaken=not is_current)
        if store.swap(self._applied(snapshot), generation, raw=snapshot) is False:
            # Something else came in the meantime; the next request will show which is newer.
            return Outcome(has_change=True, granted=fetched.granted, overtaken=True)
        store.asked_at = max(store.asked_at, asked_at)
        if self.saves_first:
            self._save(snapshot, fetched.body)
        self.catch_up()
        if not self.saves_first:
            self._save(snapshot, fetched.body)
        return Outcome(has_change=True, granted=fetched.granted)

    @property
    def has_stand_in(self) -> bool:
        """Whether there is to be a copy on disk, or a fallback."""
        return self.disk is not None or (self._layers is not None and self._layers.has_fallback)

    def adopt(self, snapshot: Snapshot | None, generation: int, *, confirmed_at: float) -> bool:
        """Put a snapshot in place that another process fetched, and return whether it was not late.

        Args:
            snapshot: the snapshot, as it is on the disk; ``None`` for the one that there is.
            generation: that of the store when this began.
            confirmed_at: the monotonic time at which it was current.
        """
        store, raw = self._store, self._store.raw
        if snapshot is None or (raw is not None and _is_equal(raw, snapshot)):
            is_current = store.confirm(generation, confirmed_at=confirmed_at)
        else:
            applied = self._applied(snapshot)
            old = store.swap(applied, generation, raw=snapshot, confirmed_at=confirmed_at)
            is_current = old is not False
        if is_current:
            self.saved = store.raw
            self.catch_up()
        return is_current

    def load_stand_in(self) -> None:
        """Put the copy on disk, or else the fallback, in place if there is no snapshot yet."""
        if self._store.held is not None:
            return
        saved = self.disk.load() if self.disk is not None else None
        if saved is not None:
            if self._load(saved.snapshot, saved.age, "disk"):
                self.saved = saved.snapshot
            return
        fallback = self._layers.fallback() if self._layers is not None else None
        if fallback is not None:
            self._load(fallback, 0.0, "fallback")

    def bind(self, make: "Callable[[Snapshot], Binding[Any]]") -> "Binding[Any]":
        """Return the binding that ``make`` makes, and keep it up to date from here on."""
        with self._following:
            binding = make(self._store.held or EMPTY)
            self._bindings = (*self._bindings, binding)
            return binding

    def bindings(self) -> "Sequence[Binding[Any]]":
        """Return the bindings."""
        return self._bindings

    def follow(self) -> bool:
        """Update bindings to the snapshot, or wait until another thread has done so.

        What was rejected is tried again: a validator may look elsewhere too.

        Returns:
            Whether any has another object now.
        """
        with self._following:
            followed = [
                binding
                for binding in self._bindings
                # Asked for each, since a validator may refresh the view.
                if (held := self._store.held) is not None and binding.follow(held)
            ]
        return bool(followed)

    def catch_up(self) -> None:
        """Update bound objects, then call the callbacks that have not heard of the snapshot."""
        self.follow()
        self._listeners.publish()

    def reasons(self) -> "tuple[Reason, ...]":
        """Return the reasons for which the application rejects the snapshot, if it does."""
        bindings = self._bindings
        if not bindings and not self._listeners:
            return ()
        from configsvc_client._view.rejections import reasons  # noqa: PLC0415 - seldom any

        held = self._store.held or EMPTY
        return reasons(held.configs, bindings, self._listeners.failing())

    def after_fork_in_child(self) -> None:
        """Replace the locks, which a thread of the parent may have held."""
        self._reset()
        for binding in self._bindings:
            binding.after_fork_in_child()

    def _tell(self) -> None:
        for binding in self._bindings:
            for listener in binding.listeners():
                listener.notify()

    def _load(self, snapshot: Snapshot, age: float, stand_in: str) -> bool:
        applied = self._applied(snapshot)
        is_in_place = self._store.load(applied, age, raw=snapshot, stand_in=stand_in)
        self.catch_up()
        return is_in_place

    def _applied(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with the overrides in it."""
        if self._layers is None:
            return snapshot
        return self._layers.applied(snapshot, self._store.held)

    def _save(self, snapshot: Snapshot, body: bytes) -> None:
        if self.disk is None or not self.saves:
            return
        with self._saving:
            if self._store.raw is snapshot:
                self.disk.save(snapshot, body)
                if self.disk.error is None:
                    self.saved = snapshot


def _is_equal(held: Snapshot, fetched: Snapshot) -> bool:
    """Compare contents too, since a wrong ETag must not hide a change."""
    return (
        held.etag == fetched.etag
        and has_equal_values(held, fetched)
        and all(
            held.provenance(name) == fetched.provenance(name)
            and held.defaults(name) is fetched.defaults(name)
            for name in fetched.configs
        )
    )
