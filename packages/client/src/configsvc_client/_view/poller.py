"""Poller: the background thread that keeps a view up to date."""

import math
import threading
import time
from collections.abc import Callable
from logging import getLogger
from typing import Final, Protocol

from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.polling import PollRecorder
from configsvc_client._http.types import Transport
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import AuthError, ConfigSvcError

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
        """Begin to stop, without waiting for anything."""

    def join(self, timeout: float) -> None:
        """Wait until it has stopped, for some seconds at most."""

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks; it is not used in the child any more."""


class Poller:
    """Updater that polls in one daemon thread.

    It refers to nothing that users hold, so that a view which nobody holds any more can be
    collected, and its thread ended.
    """

    FULL_EVERY: Final = 3600.0
    """Seconds after which the whole snapshot is fetched, in case an ETag is not to be trusted."""

    PAUSE: Final = 1.0
    """Seconds before the next poll after something that is no error of a request."""

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
        self._source = source
        self._sync = sync
        self._store = store
        self._schedule = schedule
        self._report = report
        self._name = name
        self._stopping = threading.Event()
        self._is_inherited = False
        self._is_waiting = False
        self._unexpected: str | None = None
        self._recorder = PollRecorder(
            schedule,
            activity=f"Polling {name}",
            consequence=self._consequence,
            is_stopping=self._is_stopping,
        )
        self._full_at = -math.inf if starts_full else time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"configsvc {name}", daemon=True)

    @property
    def mode(self) -> str:
        """Way in which changes come, for people."""
        return "long poll" if self._is_waiting or self._schedule.granted else "interval"

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

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections, and end what runs on in the child: a greenlet does."""
        self._is_inherited = True
        self._transport.after_fork_in_child()

    def poll_once(self) -> float:
        """Poll once and return the seconds before the next poll."""
        started = time.monotonic()
        bypass_cache = started - self._full_at >= self.FULL_EVERY
        was_failing = self._store.failing
        if bypass_cache:
            self._schedule.probe()
        wait = self._recorder.begin(may_wait=not bypass_cache and self._store.held is not None)
        self._is_waiting = wait > 0
        try:
            outcome = self._sync.update(self._source, wait=wait, bypass_cache=bypass_cache)
        except ConfigSvcError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - a bug must not stop the updates for ever
            self._log_unexpected(error)
            return self._failed(ConfigSvcError(f"{type(error).__name__} while polling"))
        finally:
            self._is_waiting = False
        self._unexpected = None
        if bypass_cache:
            self._full_at = started
        return self._recorder.succeeded(
            has_change=outcome.has_change, granted=outcome.granted, was_failing=was_failing
        )

    def _run(self) -> None:
        while not self._is_stopping():
            try:
                delay = self.poll_once()
                self._report()
            except (GeneratorExit, SystemExit):
                return
            except BaseException as error:  # noqa: BLE001 - asyncio's and gevent's are no Exception
                if type(error).__name__ == "GreenletExit":
                    return
                self._log_unexpected(error)
                delay = self.PAUSE
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

    def _consequence(self) -> str:
        if self._store.held is None:
            return "there is no configuration yet"
        return "the last snapshot goes on serving"

    def _failed(self, error: ConfigSvcError) -> float:
        delay, is_failure = self._recorder.failed(error, was_failing=self._store.failing)
        if is_failure:
            self._store.fail(error)
            self._sync.load_stand_in()
        return delay

    def _log_unexpected(self, error: BaseException) -> None:
        if self._is_inherited:
            # A greenlet that a fork has copied, whose sockets were taken away.
            return
        what = repr(type(error))
        if what == self._unexpected:
            _log.debug("Unexpected error again while polling %s", self._name, exc_info=True)
        else:
            _log.exception("Unexpected error while polling %s; it is tried again", self._name)
        self._unexpected = what
