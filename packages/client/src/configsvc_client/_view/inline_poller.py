"""Inline poller: polls amid reads, where the host runs no threads of Python."""

import sys
import time
from collections.abc import Callable
from typing import Final

from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.types import Transport
from configsvc_client._view.polls import ViewPolls
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer

__all__ = ["InlinePoller", "threads_run"]

_WITH_THREADS: Final = {"enable-threads", "threads", "gevent", "asyncio"}


def threads_run() -> bool:
    """Return whether the host lets threads of Python run here.

    uWSGI before 2.0.27 does not unless it is told to: it holds the interpreter's lock between
    requests. And the master of any version forks without regard to that lock, so that a worker
    hangs for ever where a thread had it just then (unbit/uwsgi#2387): no thread is to run before
    the workers are there.
    """
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if not isinstance(options, dict):
        return True
    given = {key.decode() if isinstance(key, bytes) else str(key) for key in options}
    has_threads = getattr(uwsgi, "has_threads", False) or given & _WITH_THREADS
    return bool(has_threads) and bool(getattr(uwsgi, "worker_id", lambda: 1)())


class InlinePoller:
    """Updater that polls in the thread that reads, once in a while and without waiting long."""

    EVERY: Final = 0.5
    """Seconds between two polls at least; a view that nobody reads sends none."""

    PATIENCE: Final = 1.0
    """Seconds that a read waits for the server at most, once there is a snapshot."""

    mode = "while reading"

    def __init__(
        self,
        *,
        name: str,
        transport: Transport,
        source: SnapshotSource,
        sync: Synchronizer,
        store: SnapshotStore,
        schedule: PollSchedule,
        report: Callable[[], None],
    ) -> None:
        """Create a poller that has not polled yet.

        Args:
            name: the name of the view, for the log.
            transport: the transport of ``source``, closed when the poller is stopped.
            source: the source of the snapshots.
            sync: puts snapshots in place.
            store: the snapshot that there is.
            schedule: decides on the delays after failures.
            report: called after each poll.
        """
        self._transport = transport
        self._store = store
        self._is_polling = False
        self._due = 0.0
        self._polls = ViewPolls(
            name=name,
            source=source,
            sync=sync,
            store=store,
            schedule=schedule,
            report=report,
            is_stopping=lambda: False,
        )

    def start(self) -> None:
        """Poll for the first time, and have every read come here."""
        self._store.hide()
        self.poll()

    def poll(self) -> None:
        """Poll if it is time to, in this thread."""
        if self._is_polling or (time.monotonic() < self._due and not self._has_other_token()):
            return
        self._is_polling = True
        patience = self.PATIENCE if self._store.held is not None else None
        try:
            # No thread may send a report here, so that it takes the place of a poll.
            delay, has_response = 0.0, self._polls.report()
            if not has_response:
                delay, has_response = self._polls.poll(may_wait=False, patience=patience)
        finally:
            self._is_polling = False
        self._due = time.monotonic() + (self.EVERY if has_response else max(delay, self.EVERY))

    def _has_other_token(self) -> bool:
        return self._store.failing and self._transport.has_other_token()

    def stop(self) -> None:
        """Close the connections."""
        self._transport.close()

    def join(self, timeout: float) -> None:
        """Return at once: there is no thread."""

    def report(self) -> None:
        """Do nothing: the next poll does it."""

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections."""
        self._transport.after_fork_in_child()
