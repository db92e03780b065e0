"""Runtime of a view: the parts behind it, started at its first use."""

import _thread
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from configsvc_client._fork import check_process, protect
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._view.inline_poller import InlinePoller, threads_run
from configsvc_client._view.listeners import Listeners
from configsvc_client._view.poller import Updater
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.status import Status, StatusListeners, StatusReader, StatusSubscription
from configsvc_client._view.store import SnapshotStore, without_traceback
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import ClosedError, ConfigSvcError, NotReadyError
from configsvc_client.options import Options

# Most clients have no copies on disk and no layers, and start sooner without the modules.
if TYPE_CHECKING:
    from configsvc_client._local.explanation import Explanation
    from configsvc_client._local.layers import ViewLayers
    from configsvc_client._view.disk_cache import DiskCache

__all__ = ["MakeUpdater", "ViewRuntime"]

MakeUpdater = Callable[[SnapshotStore, Synchronizer, Callable[[], None]], Updater]
"""Function that makes an updater, which calls the last argument after each poll."""


class ViewRuntime:
    """Runtime of one view; nothing runs before the first :meth:`wake`.

    Everything that users hold of a view refers to it: the view, bound objects, subscriptions.
    When nothing does any more, its updater is stopped.
    """

    REFRESHES: Final = 5
    """Requests of one :meth:`refresh` at most, where other responses keep coming first."""

    DISK_GRACE: Final = 2.0
    """Seconds that a server may take to respond before the copy on disk or the fallback is used."""

    JOIN: Final = 0.5
    """Seconds to wait at most for the updater when it is stopped."""

    def __init__(
        self,
        application: str,
        environment: str,
        *,
        options: Options,
        disk: "DiskCache | None",
        source: SnapshotSource,
        updater: MakeUpdater,
        status_listeners: StatusListeners,
        layers: "ViewLayers | None" = None,
    ) -> None:
        """Create the parts without starting anything.

        Args:
            application: name or id of the application.
            environment: name of the environment.
            options: the settings of the client.
            disk: the copy on disk, if there is to be one.
            source: the source for requests in the caller's thread.
            updater: makes the updater that runs in the background.
            status_listeners: told when the status becomes another.
            layers: values below and over those of the server.
        """
        self._name = f"{application!r} ({environment})"
        self._options = options
        self._layers = layers
        self._source = source
        self._make_updater = updater
        self._updater: Updater | None = None
        self._inherited: list[Updater] = []
        self._deadline = 0.0
        self._closed = False
        self.is_awake: bool = False
        """Whether reads need not come here: an updater runs, or the view is closed."""
        store = SnapshotStore()
        self.store: SnapshotStore = store
        self.own: object = store.own
        """Flag that is false in a forked child which has not been renewed yet."""
        self.listeners: Listeners = Listeners(lambda: store.held)
        self.sync: Synchronizer = Synchronizer(store, self.listeners, disk, layers)
        self._status = StatusReader(
            application,
            environment,
            store=store,
            sync=self.sync,
            disk=disk,
            stale_after=options.stale_after,
            listeners=status_listeners,
            layers=layers,
        )
        self._reset()
        protect(self.after_fork_in_child)

    def _reset(self) -> None:
        self._lock = threading.RLock()

    @property
    def start_timeout(self) -> float:
        """Seconds that the first readers wait for the first snapshot."""
        return self._options.start_timeout

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
        return self.store.newest() or self.store.current

    def wake(self) -> bool:
        """Start the updater if none is running, and return whether there is a snapshot.

        Raises:
            ClosedError: the view was closed before there was one.
        """
        check_process()
        with self._lock:
            if self._closed:
                if not self.store.show():
                    raise ClosedError(f"The view of {self._name} is closed.")
                return True
            if isinstance(self._updater, InlinePoller) and threads_run():
                # A worker of a host whose master has read already.
                self._finalizer.detach()
                self._updater.stop()
                self._updater = None
                self.store.unhide()
            if self._updater is None:
                self._start()
            updater = self._updater
        if isinstance(updater, InlinePoller):
            updater.poll()
        return self.store.show()

    def wait(self, deadline: float) -> None:
        """Wait for the first snapshot.

        Args:
            deadline: the monotonic time in seconds at which to give up.

        Raises:
            NotReadyError: none came in time.
            NotFoundError, AuthError: the server refuses.
        """
        if self.sync.has_stand_in:
            # A server that hangs must not keep us from using what we have.
            self.store.wait(min(self.DISK_GRACE, max(0.0, deadline - time.monotonic())))
            self.sync.load_stand_in()
        if self.store.wait(max(0.0, deadline - time.monotonic())):
            return
        raise self.not_ready()

    def not_ready(self) -> ConfigSvcError:
        """Return the error of a view that has no snapshot: the refusal, or why there is none."""
        error = self.store.error
        if self.store.is_refused() and error is not None:
            return without_traceback(error)
        lack = NotReadyError(
            f"There is no configuration of {self._name} yet: "
            + (str(error) if error else "the server has not answered.")
        )
        lack.__cause__ = None if error is None else without_traceback(error)
        return lack

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
            self._status.report()
            raise
        # The other thread may have put the snapshot in place, and bound objects not yet.
        self.sync.catch_up()
        self._status.report()
        return self.store.generation != before

    def status(self) -> Status:
        """Return the status of the view."""
        return self._status.read()

    def explain(self, path: str) -> "Explanation":
        """Return where the value at a path comes from, without a request.

        Raises:
            NotReadyError: there is no snapshot.
        """
        held, raw = self.store.held, self.store.raw
        if held is None or raw is None:
            raise NotReadyError(f"There is no configuration of {self._name} to explain yet.")
        if self._layers is not None:
            source = self.store.stand_in or self._layers.origin
            return self._layers.explain(path, held, raw, source)
        from configsvc_client._local.explanation import Explainer  # noqa: PLC0415 - rarely used

        return Explainer(held, raw, source=self.store.stand_in or "server").explain(path)

    def report(self) -> None:
        """Tell the server of rejections that came up while a poll waits; it waits for nothing."""
        updater = self._updater
        if updater is not None:
            updater.report()

    def is_of(self, status: Status) -> bool:
        """Return whether a status is one of this view."""
        return self._status.is_of(status)

    def on_status(self, callback: Callable[[Status], object]) -> StatusSubscription:
        """Call ``callback`` with each new status of this view, and of others of its client."""
        return self._status.subscribe(callback)

    def stop(self) -> Updater | None:
        """Begin to stop the updater, for good, and return it; ``None`` where none runs."""
        with self._lock:
            was_closed = self._closed
            self._closed = self._status.is_closed = True
            updater, self._updater = self._updater, None
            self._status.mode = None
        if updater is not None:
            self._finalizer.detach()
            updater.stop()
        if not was_closed:
            if self.store.held is None:
                # Readers who wait for the first snapshot need not any more.
                closed = ClosedError(f"The view of {self._name} is closed.")
                self.store.fail(closed, is_own=False)
            self._status.report()
        return updater

    def close(self) -> None:
        """Stop the updater, promptly and for good."""
        updater = self.stop()
        if updater is not None:
            updater.join(self.JOIN)

    def after_fork_in_child(self) -> None:
        """Replace all locks without waiting for one, and drop the parent's updater."""
        self._reset()
        self.is_awake = False
        self.store.after_fork_in_child()
        self.listeners.after_fork_in_child()
        self.sync.after_fork_in_child()
        if self._updater is not None:
            self._finalizer.detach()
            self._updater.after_fork_in_child()
            # Kept, since destroying it could take locks that its thread had.
            self._inherited.append(self._updater)
            self._updater = None
            self._status.mode = None

    def _start(self) -> None:
        self._deadline = time.monotonic() + self._options.start_timeout
        updater = self._make_updater(self.store, self.sync, self._status.report)
        self._updater = updater
        self._status.mode = lambda: updater.mode
        self._finalizer = weakref.finalize(self, _stop_in_a_thread, updater)
        self._finalizer.atexit = False
        try:
            updater.start()
        except BaseException:
            # Such as a lack of threads: the next use must try again.
            self._finalizer.detach()
            self._updater = self._status.mode = None
            raise
        self.is_awake = not isinstance(updater, InlinePoller)


def _stop_in_a_thread(updater: Updater) -> None:
    # The collector may come here amid anything, also while this very thread has the locks that
    # stopping takes, and those of the threading module.
    _thread.start_new_thread(updater.stop, ())
