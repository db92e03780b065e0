"""Polling: the delay after each request of a poller, and one log line for each outage."""

import sys
import time
from collections.abc import Callable
from logging import getLogger

from configsvc_client._http.poll_schedule import PollSchedule, may_be_cut
from configsvc_client.errors import AuthError, ClosedError, ConfigSvcError, ServerError

__all__ = ["PollRecorder"]

_log = getLogger("configsvc_client")


class PollRecorder:
    """Recorder of one poller's requests; used by one thread, one request at a time."""

    def __init__(
        self,
        schedule: PollSchedule,
        *,
        activity: str,
        consequence: Callable[[], str],
        is_stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a recorder.

        Args:
            schedule: decides on the delays.
            activity: the words that the log lines begin with.
            consequence: returns the meaning of a failure, for the log.
            is_stopping: returns whether the poller is to end; errors are expected then.
            clock: returns the monotonic time in seconds.
        """
        self._schedule = schedule
        self._activity = activity
        self._consequence = consequence
        self._is_stopping = is_stopping
        self._clock = clock
        self._asked = 0.0
        self._started = 0.0

    def begin(self, *, may_wait: bool = True) -> float:
        """Record the beginning of a request.

        Returns:
            Seconds to ask the server to wait; 0 without ``may_wait``.
        """
        self._started = self._clock()
        self._asked = self._schedule.wait() if may_wait else 0.0
        return self._asked

    def succeeded(self, *, has_change: bool, granted: bool, was_failing: bool) -> float:
        """Record a response.

        Args:
            has_change: whether it had a change.
            granted: whether the server agreed to wait.
            was_failing: whether the failure before is not recovered from yet.

        Returns:
            Seconds before the next request.
        """
        if was_failing:
            _log.info("%s works again", self._activity)
        took = self._clock() - self._started
        return self._schedule.succeeded(
            has_change=has_change, asked=self._asked, granted=granted, took=took
        )

    def failed(self, error: ConfigSvcError, *, was_failing: bool) -> tuple[float, bool]:
        """Record a failure, and log the first of several.

        Args:
            error: the failure.
            was_failing: whether the one before failed, too.

        Returns:
            Seconds before the next request, and whether to report the failure to the user:
            not where a long poll was cut, or the poller is stopping.
        """
        if self._is_stopping() or isinstance(error, ClosedError) or sys.is_finalizing():
            return 0.0, False
        delay, is_failure = self._schedule.failed(
            asked=self._asked,
            took=self._clock() - self._started,
            may_be_cut=may_be_cut(error),
            retry_after=error.retry_after if isinstance(error, ServerError | AuthError) else None,
            is_refusal=isinstance(error, AuthError),
        )
        if is_failure:
            # One line when an outage begins; the rest is kept by the poller and at debug level.
            log = _log.debug if was_failing else _log.warning
            log("%s failed; %s. %s", self._activity, self._consequence(), error)
        return delay, is_failure
