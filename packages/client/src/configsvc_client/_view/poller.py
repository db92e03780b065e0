"""Poller: the background thread that keeps a view up to date."""

import threading
import time
from logging import getLogger
from typing import Final, Protocol

from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.polling import PollRecorder
from configsvc_client._http.types import Transport
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import ConfigSvcError

__all__ = ["Poller", "Updater"]

_log = getLogger("configsvc_client")


class Updater(Protocol):
    """Updater of a view, running until it is stopped."""

    @property
    def mode(self) -> str:
        """Way in which changes come, for people."""

    def start(self) -> None:
        """Start; called once."""

    def stop(self) -> None:
        """Stop, promptly."""

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks; it is not used in the child any more."""


class Poller:
    """Updater that polls in one daemon thread."""

    FULL_EVERY: Final = 3600.0
    """Seconds after which the whole snapshot is fetched, in case an ETag is not to be trusted."""

    JOIN: Final = 1.0
    """Seconds to wait at most for the thread when it is stopped."""

    def __init__(
        self,
        *,
        name: str,
        transport: Transport,
        source: SnapshotSource,
        sync: Synchronizer,
        store: SnapshotStore,
        schedule: PollSchedule,
    ) -> None:
        """Create a poller without starting its thread.

        Args:
            name: the name of the thread.
            transport: the transport of ``source``, closed when the poller is stopped.
            source: the source of the snapshots.
            sync: puts snapshots in place.
            store: the snapshot that there is.
            schedule: decides on the delays.
        """
        self._transport = transport
        self._source = source
        self._sync = sync
        self._store = store
        self._schedule = schedule
        self._stopping = threading.Event()
        self._recorder = PollRecorder(
            schedule,
            activity="Polling",
            consequence="the last snapshot goes on serving",
            is_stopping=self._stopping.is_set,
        )
        self._full_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def mode(self) -> str:
        """Way in which changes come, for people."""
        return "long poll" if self._schedule.granted else "interval"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, also amid a request on which it waits."""
        self._stopping.set()
        self._transport.close()
        if self._thread is not threading.current_thread():
            self._thread.join(self.JOIN)

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections."""
        self._transport.after_fork_in_child()

    def poll_once(self) -> float:
        """Poll once and return the seconds before the next poll."""
        started = time.monotonic()
        bypass_cache = started - self._full_at >= self.FULL_EVERY
        was_failing = self._store.failing
        wait = self._recorder.begin(may_wait=not bypass_cache and self._store.held is not None)
        try:
            outcome = self._sync.update(self._source, wait=wait, bypass_cache=bypass_cache)
        except ConfigSvcError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - a bug must not stop the updates for ever
            _log.exception("Unexpected error while polling")
            return self._failed(ConfigSvcError(repr(error)))
        if bypass_cache:
            self._full_at = started
        return self._recorder.succeeded(
            has_change=outcome.has_change, granted=outcome.granted, was_failing=was_failing
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            delay = self.poll_once()
            self._stopping.wait(delay)

    def _failed(self, error: ConfigSvcError) -> float:
        delay, is_failure = self._recorder.failed(error, was_failing=self._store.failing)
        if is_failure:
            self._store.fail(error)
            self._sync.load_disk()
        return delay
