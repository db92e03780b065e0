"""Poll schedule: the wait to ask the server for, and the delay before the next request.

Arithmetic only, without any I/O. All durations are seconds on a monotonic clock.
"""

import random
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from configsvc_client.errors import ConfigSvcError, TransportError

__all__ = ["PollSchedule", "may_be_cut"]

# What proxies send in place of a long poll that they have lost patience with.
_CUT_STATUSES: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def may_be_cut(error: ConfigSvcError) -> bool:
    """Return whether a long poll may have failed just because a proxy in between ended it."""
    return isinstance(error, TransportError) or error.status in _CUT_STATUSES


class PollSchedule:
    """Schedule of the requests of one poller."""

    JITTER: Final = 0.1
    """Share by which intervals differ at most, so that a fleet does not poll in step."""

    BACKOFF_BASE: Final = 1.0
    """Half the longest delay after a first failure; each further failure doubles that delay."""
    BACKOFF_CAP: Final = 60.0
    """Longest delay after a failure, unless the server asks for a longer one."""

    CUT_AFTER: Final = 1.0
    """A connection lost sooner than this counts as a failure, not as a cut."""
    MAX_CUTS: Final = 3
    """Number of cuts in a row after which a proxy is assumed not to support long polls."""
    CUT_PAUSE: Final = 600.0
    """Time to poll by interval then, before long polls are tried again."""

    MAX_RAPID_CHANGES: Final = 100
    """Number of rapid changes in a row that are fetched without a pause: two servers with
    different contents behind one address would give a client changes for ever."""
    RAPID: Final = 0.1
    """Time within which a change is rapid, and the pause after too many of them."""

    def __init__(
        self,
        *,
        interval: float,
        long_poll: float,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        """Create the schedule of a poller that has not asked yet.

        Args:
            interval: time between two requests where the server does not wait.
            long_poll: time that the server may wait for a change; 0 turns long polls off.
            clock: returns the monotonic time.
            chance: source of the jitter.
        """
        self._interval = interval
        self._long_poll = long_poll
        self._clock = clock
        self._random = chance or random.Random()  # noqa: S311 - jitter is no secret
        self._failures = 0
        self._cuts = 0
        self._early = 0
        self._rapid_changes = 0
        self._probing = False
        self._granted = False
        self._no_wait_until = -1.0

    @property
    def granted(self) -> bool:
        """Whether the server agreed to wait, as far as is known."""
        return self._granted

    def probe(self) -> None:
        """Have the next request be a plain one, which is followed by a long poll at once."""
        self._probing = True

    def wait(self) -> float:
        """Return the time to ask the server to wait; 0 for a plain request."""
        # After a failure or a cut, a plain request finds out sooner how things are.
        if self._probing or self._failures or self._clock() < self._no_wait_until:
            return 0.0
        return self._long_poll

    def succeeded(self, *, has_change: bool, asked: float, granted: bool, took: float) -> float:
        """Record a response and return the delay before the next request.

        Args:
            has_change: whether the response had a change.
            asked: the result of :meth:`wait` for this request.
            granted: whether the server agreed to wait.
            took: the duration of the request.
        """
        can_wait = self._can_wait()
        is_probe = self._probing or self._failures > 0
        self._probing = False
        self._failures = 0
        if asked:
            self._granted = granted
            self._cuts = 0
        if has_change and can_wait:
            self._early = 0
            self._rapid_changes = self._rapid_changes + 1 if took < self.RAPID else 0
            return self.RAPID if self._rapid_changes > self.MAX_RAPID_CHANGES else 0.0
        if asked and granted:
            # A response without a change, long before its time: the server stops, or is wrong.
            self._early = self._early + 1 if took < asked / 2 else 0
            return self._early_pause() if self._early else 0.0
        if not asked and can_wait and is_probe:
            return 0.0
        return self._jittered_interval()

    def failed(
        self,
        *,
        asked: float,
        took: float,
        may_be_cut: bool,
        retry_after: float | None = None,
        is_refusal: bool = False,
    ) -> tuple[float, bool]:
        """Record a failure.

        Args:
            asked: the result of :meth:`wait` for this request.
            took: the duration of the request.
            may_be_cut: whether the connection just ended, which is normal for a long poll.
            retry_after: the delay that the server asked for.
            is_refusal: whether the server knows the token not, or not for this, which the same
                request seldom changes: at least half of the longest delay passes then.

        Returns:
            The delay before the next request, and whether to report the failure.
        """
        if asked and may_be_cut and took >= self.CUT_AFTER:
            self._cuts += 1
            self._probing = True
            if self._cuts >= self.MAX_CUTS:
                self._cuts = 0
                self._granted = False
                self._no_wait_until = self._clock() + self.CUT_PAUSE
            # A server that stops ends the long polls of all clients at once.
            return self._random.uniform(0, self.BACKOFF_BASE), False
        self._failures += 1
        self._granted = False
        ceiling = min(self.BACKOFF_CAP, self.BACKOFF_BASE * 2.0 ** min(self._failures, 16))
        delay = self._random.uniform(ceiling / 2 if is_refusal else 0, ceiling)
        if retry_after is not None:
            delay = max(delay, retry_after * self._random.uniform(1, 1 + self.JITTER))
        return delay, True

    def _can_wait(self) -> bool:
        return self._long_poll > 0 and self._clock() >= self._no_wait_until

    def _early_pause(self) -> float:
        ceiling = min(self._interval, 2.0 ** min(self._early, 16))
        return self._random.uniform(ceiling / 4, ceiling)

    def _jittered_interval(self) -> float:
        return self._interval * self._random.uniform(1 - self.JITTER, 1 + self.JITTER)
