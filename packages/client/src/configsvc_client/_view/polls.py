"""Polls of a view: each puts a snapshot in place, or records why there is none."""

from collections.abc import Callable
from logging import getLogger
from typing import Final

from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.polling import PollRecorder
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import ConfigSvcError

__all__ = ["ViewPolls"]

_log = getLogger("configsvc_client")


class ViewPolls:
    """Polls of one view, made by one thread at a time, whichever it is.

    What goes wrong is recorded, logged and tried again, also what nobody expects: it must
    neither end the updates nor come out of a read.
    """

    PAUSE: Final = 1.0
    """Seconds before the next poll after something that is no error of a request."""

    def __init__(
        self,
        *,
        name: str,
        source: SnapshotSource,
        sync: Synchronizer,
        store: SnapshotStore,
        schedule: PollSchedule,
        report: Callable[[], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        """Create polls of which none has been made yet.

        Args:
            name: the name of the view, for the log.
            source: the source of the snapshots.
            sync: puts snapshots in place.
            store: the snapshot that there is.
            schedule: decides on the delays.
            report: called after each poll.
            is_stopping: returns whether there are to be no more; errors are expected then.
        """
        self.is_waiting: bool = False
        """Whether a request is under way that the server may let wait."""
        self._name = name
        self._source = source
        self._sync = sync
        self._store = store
        self._report = report
        self._is_stopping = is_stopping
        self._unexpected: str | None = None
        self._recorder = PollRecorder(
            schedule,
            activity=f"Polling {name}",
            consequence=self._consequence,
            is_stopping=is_stopping,
        )

    def poll(
        self, *, may_wait: bool, bypass_cache: bool = False, patience: float | None = None
    ) -> tuple[float, bool]:
        """Poll once.

        Args:
            may_wait: whether the server may wait for a change.
            bypass_cache: whether to fetch the whole snapshot, even if nothing changed.
            patience: seconds that the request may take; as many as any without it.

        Returns:
            Seconds before the next poll, and whether this one got a response.
        """
        try:
            outcome = self._attempt(may_wait, bypass_cache, patience)
            self._report()
        except Exception as error:  # noqa: BLE001 - a bug must not stop the updates for ever
            self.log_unexpected(error)
            return self.PAUSE, False
        return outcome

    def report(self) -> bool:
        """Tell the server why the snapshot is rejected, if it is to know; return whether it did."""
        reporter = self._source.reporter
        return reporter is not None and reporter.report()

    def report_soon(self) -> None:
        """Do so without waiting for it, also while a poll waits."""
        reporter = self._source.reporter
        if reporter is not None:
            reporter.report_soon()

    def log_unexpected(self, error: BaseException) -> None:
        """Log what is no error of a request: with its traceback once."""
        if self._is_stopping():
            # Such as in a greenlet that a fork has copied, whose sockets were taken away.
            return
        what = repr(type(error))
        if what == self._unexpected:
            _log.debug("Unexpected error again while polling %s", self._name, exc_info=error)
        else:
            _log.error(
                "Unexpected error while polling %s; it is tried again", self._name, exc_info=error
            )
        self._unexpected = what

    def _attempt(
        self, may_wait: bool, bypass_cache: bool, patience: float | None
    ) -> tuple[float, bool]:
        was_failing = self._store.failing
        wait = self._recorder.begin(may_wait=may_wait)
        self.is_waiting = wait > 0
        try:
            outcome = self._sync.update(
                self._source, wait=wait, bypass_cache=bypass_cache, patience=patience
            )
        except ConfigSvcError as error:
            return self._failed(error), False
        except Exception as error:  # noqa: BLE001 - see above
            self.log_unexpected(error)
            return self._failed(ConfigSvcError(f"{type(error).__name__} while polling")), False
        finally:
            self.is_waiting = False
        self._unexpected = None
        delay = self._recorder.succeeded(
            has_change=outcome.has_change, granted=outcome.granted, was_failing=was_failing
        )
        return delay, True

    def _failed(self, error: ConfigSvcError) -> float:
        delay, is_failure = self._recorder.failed(error, was_failing=self._store.failing)
        if is_failure:
            self._store.fail(error)
            self._sync.load_stand_in()
        return delay

    def _consequence(self) -> str:
        if self._store.held is None:
            return "there is no configuration yet"
        return "the last snapshot goes on serving"
