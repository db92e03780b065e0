"""The thread that keeps a view fresh."""

import sys
import threading
import time
from collections.abc import Callable
from logging import getLogger
from typing import Final, Protocol

from configsvc_client._http.poll_schedule import Pace, may_be_cut
from configsvc_client._http.types import Transport
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import SnapshotFeed, Synchronizer
from configsvc_client.errors import ClosedError, ConfigSvcError, ServerError

__all__ = ["Poller", "Updater"]

_log = getLogger("configsvc_client")


class Updater(Protocol):
    """Whatever keeps a view fresh."""

    @property
    def mode(self) -> str:
        """How it does that, for people."""

    def start(self) -> None:
        """Begin; called once."""

    def stop(self) -> None:
        """End, promptly."""

    def abandon(self) -> None:
        """Let go, in a forked child, of what is the parent's."""


class Poller:
    """Polls in one daemon thread, until stopped."""

    FULL_EVERY: Final = 3600.0
    """Seconds after which the whole snapshot is fetched, in case an ETag is not to be trusted."""

    JOIN: Final = 1.0
    """Seconds to wait at most for the thread at a stop."""

    def __init__(
        self,
        *,
        name: str,
        transport: Transport,
        feed: SnapshotFeed,
        sync: Synchronizer,
        store: SnapshotStore,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._feed = feed
        self._sync = sync
        self._store = store
        self._pace = pace
        self._clock = clock
        self._stopping = threading.Event()
        self._full_at = clock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def mode(self) -> str:
        """How changes come, for people."""
        return "long poll" if self._pace.granted else "interval"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, also out of a request on which it waits."""
        self._stopping.set()
        self._transport.close()
        if self._thread is not threading.current_thread():
            self._thread.join(self.JOIN)

    def abandon(self) -> None:
        """Let go, in a forked child, of the parent's connections."""
        self._transport.forget_parent()

    def _run(self) -> None:
        while not self._stopping.is_set():
            delay = self.turn()
            self._stopping.wait(delay)

    def turn(self) -> float:
        """Poll once and return how long to sleep."""
        started = self._clock()
        fresh = started - self._full_at >= self.FULL_EVERY
        was_failing = self._store.failing
        asked = 0.0 if fresh or self._store.held is None else self._pace.wait()
        try:
            outcome = self._sync.update(self._feed, wait=asked, fresh=fresh)
        except ConfigSvcError as error:
            return self._failed(error, asked, self._clock() - started)
        except Exception as error:  # noqa: BLE001 - a bug must not stop the updates for ever
            _log.exception("Unexpected error while polling")
            return self._failed(ConfigSvcError(repr(error)), asked, self._clock() - started)
        if was_failing:
            _log.info("Polling works again")
        if fresh:
            self._full_at = started
        return self._pace.answered(
            changed=outcome.changed,
            asked=asked,
            granted=outcome.granted,
            took=self._clock() - started,
        )

    def _failed(self, error: ConfigSvcError, asked: float, took: float) -> float:
        if self._stopping.is_set() or isinstance(error, ClosedError) or sys.is_finalizing():
            return 0.0
        delay, is_failure = self._pace.failed(
            asked=asked,
            took=took,
            may_be_cut=may_be_cut(error),
            retry_after=error.retry_after if isinstance(error, ServerError) else None,
        )
        if is_failure:
            # One line when it begins; the rest is in status() and at debug level.
            level = "debug" if self._store.failing else "warning"
            getattr(_log, level)("Polling failed; the last snapshot goes on serving. %s", error)
            self._store.fail(error)
            self._sync.load_disk()
        return delay
