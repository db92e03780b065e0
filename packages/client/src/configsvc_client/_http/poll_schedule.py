"""When to poll next, and whether to ask the server to wait: arithmetic, without any I/O."""

import random
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from configsvc_client.errors import ConfigSvcError, TransportError

__all__ = ["Pace", "may_be_cut"]

# What proxies answer in place of a long poll that they have lost patience with.
_CUT_STATUSES: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def may_be_cut(error: ConfigSvcError) -> bool:
    """Tell whether a long poll may have failed just because something in between ended it."""
    return isinstance(error, TransportError) or error.status in _CUT_STATUSES


class Pace:
    """Decides on the delays of one poller. All durations are seconds on a monotonic clock."""

    JITTER: Final = 0.1
    """Intervals differ by up to this share, so that a fleet does not poll in step."""

    BACKOFF_BASE: Final = 1.0
    BACKOFF_CAP: Final = 60.0

    CUT_AFTER: Final = 1.0
    """A connection lost earlier than this was refused rather than cut."""
    MAX_CUTS: Final = 3
    """After so many cuts in a row something in between does not like long polls."""
    CUT_PAUSE: Final = 600.0
    """How long to poll by interval then, before long polls are tried again."""

    BURST: Final = 100.0
    """Changes that are fetched without a pause …"""
    RATE: Final = 10.0
    """… and how many a second after that: two servers that disagree would go on for ever."""

    def __init__(
        self,
        *,
        interval: float,
        long_poll: float,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._interval = interval
        self._long_poll = long_poll
        self._clock = clock
        self._random = chance or random.Random()  # noqa: S311 - jitter is no secret
        self._failures = 0
        self._cuts = 0
        self._early = 0
        self._probing = False
        self._granted = False
        self._no_wait_until = -1.0
        self._tokens = self.BURST
        self._counted_at = clock()

    @property
    def granted(self) -> bool:
        """Whether the server waits for us, as far as is known."""
        return self._granted

    def wait(self) -> float:
        """Return how long to ask the server to wait; 0 for not at all."""
        # After a failure or a cut, a plain question finds out sooner how things are.
        if self._probing or self._failures or self._clock() < self._no_wait_until:
            return 0.0
        return self._long_poll

    def answered(self, *, changed: bool, asked: float, granted: bool, took: float) -> float:
        """Take note of an answer and return how long to sleep.

        Args:
            changed: whether there was something new.
            asked: what :meth:`wait` returned.
            granted: whether the server said that it waited.
            took: how long the answer took.
        """
        can_wait = self._can_wait()
        is_probe = self._probing or self._failures > 0
        self._probing = False
        self._failures = 0
        if asked:
            self._granted = granted
            self._cuts = 0
        if changed and can_wait:
            self._early = 0
            return self._after_change()
        if asked and granted:
            # Answered long before its time without news: it is stopping, or makes no sense.
            self._early = self._early + 1 if took < asked / 2 else 0
            return self._early_pause() if self._early else 0.0
        if not asked and can_wait and is_probe:
            return 0.0
        return self._jittered_interval()

    def failed(
        self, *, asked: float, took: float, may_be_cut: bool, retry_after: float | None = None
    ) -> tuple[float, bool]:
        """Take note of a failure and return how long to sleep, and whether to report it.

        Args:
            asked: what :meth:`wait` returned.
            took: how long it took to fail.
            may_be_cut: whether the connection just ended, which is normal for a long poll.
            retry_after: what the server asked for.
        """
        if asked and may_be_cut and took >= self.CUT_AFTER:
            self._cuts += 1
            self._probing = True
            if self._cuts >= self.MAX_CUTS:
                self._cuts = 0
                self._granted = False
                self._no_wait_until = self._clock() + self.CUT_PAUSE
            # A server that went away took everybody's long poll with it.
            return self._random.uniform(0, self.BACKOFF_BASE), False
        self._failures += 1
        self._granted = False
        ceiling = min(self.BACKOFF_CAP, self.BACKOFF_BASE * 2.0 ** min(self._failures, 16))
        delay = self._random.uniform(0, ceiling)
        if retry_after is not None:
            delay = max(delay, retry_after * self._random.uniform(1, 1 + self.JITTER))
        return delay, True

    def _can_wait(self) -> bool:
        return self._long_poll > 0 and self._clock() >= self._no_wait_until

    def _after_change(self) -> float:
        now = self._clock()
        self._tokens = min(self.BURST, self._tokens + (now - self._counted_at) * self.RATE)
        self._counted_at = now
        self._tokens -= 1
        return 0.0 if self._tokens >= 0 else 1 / self.RATE

    def _early_pause(self) -> float:
        ceiling = min(self._interval, 2.0 ** min(self._early, 16))
        return self._random.uniform(ceiling / 4, ceiling)

    def _jittered_interval(self) -> float:
        return self._interval * self._random.uniform(1 - self.JITTER, 1 + self.JITTER)
