"""Runtime of a view: the parts behind it, started at its first use."""

import threading
import time
from collections.abc import Callable
from typing import Final

from configsvc_client._values.snapshot import Snapshot
from configsvc_client._view.disk_cache import DiskCache
from configsvc_client._view.listeners import Listeners
from configsvc_client._view.poller import Updater
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.status import Status
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import ClosedError, ConfigSvcError, NotReadyError
from configsvc_client.options import Options

__all__ = ["ViewRuntime"]


class ViewRuntime:
    """Runtime of one view; nothing runs before the first :meth:`wake`."""

    REFRESHES: Final = 5
    """Requests of one :meth:`refresh` at most, where other responses keep coming first."""

    DISK_GRACE: Final = 2.0
    """Seconds that a server may take to respond before the copy on disk is used."""

    def __init__(
        self,
        name: str,
        *,
        options: Options,
        disk: DiskCache | None,
        source: SnapshotSource,
        updater: Callable[[SnapshotStore, Synchronizer], Updater],
    ) -> None:
        """Create the parts without starting anything.

        Args:
            name: the name of the view, for messages.
            options: the settings of the client.
            disk: the copy on disk, if there is to be one.
            source: the source for requests in the caller's thread.
            updater: makes the updater that runs in the background.
        """
        self._name = name
        self._options = options
        self._disk = disk
        self._source = source
        self._make_updater = updater
        self._updater: Updater | None = None
        self._inherited: list[Updater] = []
        self._deadline = 0.0
        self._closed = False
        self.store = SnapshotStore()
        self.listeners = Listeners()
        self.sync = Synchronizer(self.store, self.listeners, disk)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()

    def ready(self) -> Snapshot:
        """Return the snapshot, waiting for the first one until ``start_timeout`` is over.

        Raises:
            NotReadyError: none came in time.
            NotFoundError, AuthError: the server refuses.
            ClosedError: the view was closed before there was one.
        """
        if not self.wake():
            # Only the first readers wait; while the server is unavailable the rest would pile up.
            self.wait(self._deadline)
        return self.store.held or self.store.current

    def wake(self) -> bool:
        """Start the updater if none is running, and return whether there is a snapshot.

        Raises:
            ClosedError: the view was closed before there was one.
        """
        with self._lock:
            if self._closed:
                if not self.store.show():
                    raise ClosedError(f"The view of {self._name} is closed.")
                return True
            if self._updater is None:
                self._deadline = time.monotonic() + self._options.start_timeout
                self._updater = self._make_updater(self.store, self.sync)
                try:
                    self._updater.start()
                except BaseException:
                    # Such as a lack of threads: the next use must try again.
                    self._updater = None
                    raise
        return self.store.show()

    def wait(self, deadline: float) -> None:
        """Wait for the first snapshot.

        Args:
            deadline: the monotonic time in seconds at which to give up.

        Raises:
            NotReadyError: none came in time.
            NotFoundError, AuthError: the server refuses.
        """
        if self._disk is not None:
            # A server that hangs must not keep us from using what we have.
            self.store.wait(min(self.DISK_GRACE, max(0.0, deadline - time.monotonic())))
            self.sync.load_disk()
        if self.store.wait(max(0.0, deadline - time.monotonic())):
            return
        error = self.store.error
        if self.store.is_refused() and error is not None:
            raise error
        raise NotReadyError(
            f"There is no configuration of {self._name} yet: "
            + (str(error) if error else "the server has not answered.")
        ) from error

    def refresh(self) -> bool:
        """Fetch the newest snapshot in this thread, and return whether there is another now.

        Raises:
            ConfigSvcError: the request failed.
        """
        self.wake()
        before = self.store.generation
        try:
            # A response that another one overtook is dropped, and that one may be older.
            for _ in range(self.REFRESHES):
                if not self.sync.update(self._source, bypass_cache=True).overtaken:
                    break
        except ConfigSvcError as error:
            self.store.fail(error)
            raise
        # The other thread may have put the snapshot in place, and bound objects not yet.
        self.sync.follow()
        return self.store.generation != before

    def status(self) -> Status:
        """Return the status of the view."""
        store, held, updater = self.store, self.store.held, self._updater
        age = store.age()
        is_old = age is not None and age > self._options.stale_after
        stale = held is None or store.failing or store.from_disk or is_old
        if self._closed:
            state = "closed"
        elif held is None:
            state = "not started" if updater is None else "starting"
        else:
            state = "stale" if stale else "live"
        return Status(
            state=state,
            version=held.version if held else None,
            age=age,
            stale=stale,
            source=("disk" if store.from_disk else "server") if held else None,
            last_error=store.error,
            polls=store.polls,
            changes=store.generation,
            mode=updater.mode if updater else None,
            configurations=len(held) if held else 0,
            rejected={b.path: str(b.error) for b in self.sync.bindings() if b.error is not None},
            cache_error=self._disk.error if self._disk else None,
        )

    def close(self) -> None:
        """Stop the updater, promptly and for good."""
        with self._lock:
            self._closed = True
            updater, self._updater = self._updater, None
        if updater is not None:
            updater.stop()

    def after_fork_in_child(self) -> None:
        """Replace all locks without waiting for one, and drop the parent's updater."""
        self._reset()
        self.store.after_fork_in_child()
        self.listeners.after_fork_in_child()
        self.sync.after_fork_in_child()
        if self._updater is not None:
            self._updater.after_fork_in_child()
            # Kept, since destroying it could take locks that its thread had.
            self._inherited.append(self._updater)
            self._updater = None
