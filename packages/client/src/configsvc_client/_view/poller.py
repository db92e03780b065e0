"""Poller: the background thread that keeps a view up to date."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.types import Transport
from configsvc_client._view.polls import ViewPolls
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import AuthError

__all__ = ["Poller", "Updater"]


class Updater(Protocol):
    """Updater of a view, running until it is stopped."""

    @property
    def mode(self) -> str:
        """Way in which changes come, for people."""

    def start(self) -> None:
        """Start; called once."""

    def stop(self) -> None:
        """Begin to stop, without waiting for anything."""

    def join(self, timeout: float) -> None:
        """Wait until it has stopped, for some seconds at most."""

    def report(self) -> None:
        """Tell the server of rejections that came up while a poll waits; it waits for nothing."""

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks; it is not used in the child any more."""


class Poller:
    """Updater that polls in one daemon thread.

    It refers to nothing that users hold, so that a view which nobody holds any more can be
    collected, and its thread ended.
    """

    FULL_EVERY: Final = 3600.0
    """Seconds after which the whole snapshot is fetched, in case an ETag is not to be trusted."""

    LOOK: Final = 1.0
    """Seconds between two looks for another token, after one was refused."""

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
        starts_full: bool = False,
    ) -> None:
        """Create a poller without starting its thread.

        Args:
            name: the name of the view, for the thread and the log.
            transport: the transport of ``source``, closed when the poller is stopped.
            source: the source of the snapshots.
            sync: puts snapshots in place.
            store: the snapshot that there is.
            schedule: decides on the delays.
            report: called after each poll.
            starts_full: whether to fetch the whole snapshot first, even if nothing changed.
        """
        self._transport = transport
        self._store = store
        self._schedule = schedule
        self._stopping = threading.Event()
        self._is_inherited = False
        self._polls = ViewPolls(
            name=name,
            source=source,
            sync=sync,
            store=store,
            schedule=schedule,
            report=report,
            is_stopping=self._is_stopping,
        )
        self._full_at = -math.inf if starts_full else time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"configsvc {name}", daemon=True)

    @property
    def mode(self) -> str:
        """Way in which changes come, for people."""
        return "long poll" if self._polls.is_waiting or self._schedule.granted else "interval"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end, also amid a request on which it waits."""
        self._stopping.set()
        self._transport.close()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread.

        Args:
            timeout: seconds to wait at most.
        """
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def report(self) -> None:
        """Tell the server of rejections that came up while a poll waits."""
        self._polls.report_soon()

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections, and end what runs on in the child: a greenlet does."""
        self._is_inherited = True
        self._transport.after_fork_in_child()

    def poll_once(self) -> float:
        """Poll once and return the seconds before the next poll."""
        self._polls.report()
        started = time.monotonic()
        bypass_cache = started - self._full_at >= self.FULL_EVERY
        if bypass_cache:
            self._schedule.probe()
        delay, has_response = self._polls.poll(
            may_wait=not bypass_cache and self._store.held is not None, bypass_cache=bypass_cache
        )
        if bypass_cache and has_response:
            self._full_at = started
        return delay

    def _run(self) -> None:
        while not self._is_stopping():
            try:
                delay = self.poll_once()
            except (GeneratorExit, SystemExit):
                return
            except BaseException as error:  # noqa: BLE001 - asyncio's and gevent's are no Exception
                if type(error).__name__ == "GreenletExit":
                    return
                self._polls.log_unexpected(error)
                delay = self._polls.PAUSE
            if not self._is_inherited:
                self._rest(delay)
        while self._is_inherited:
            # A greenlet that a fork has copied. It can't end: the threading module of the child
            # knows no such thread any more, and would say so on stderr.
            threading.Event().wait()

    def _rest(self, delay: float) -> None:
        """Wait for the next poll, or until there is another token than one that was refused."""
        is_refused = self._store.failing and isinstance(self._store.error, AuthError)
        if not is_refused:
            self._stopping.wait(delay)
            return
        due = time.monotonic() + delay
        while not self._stopping.wait(min(delay, self.LOOK)):
            delay = due - time.monotonic()
            if delay <= 0 or self._is_inherited or self._transport.has_other_token():
                return

    def _is_stopping(self) -> bool:
        return self._is_inherited or self._stopping.is_set()
