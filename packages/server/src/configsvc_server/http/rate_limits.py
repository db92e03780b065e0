"""Rate limits: how often one principal may ask, and one address may fail to sign in."""

import math
import threading
import time
from typing import Final

import falcon
from limits import RateLimitItem, parse

from configsvc_server.domain.errors import TooManyRequestsError

__all__ = ["RateLimits"]

_FAILURES: Final = parse("20/minute")


class RateLimits:
    """Counts requests in memory; each server counts for itself."""

    def __init__(self, limit: str | None) -> None:
        """Create the counters.

        Args:
            limit: how many requests a principal may send, such as ``1000/second``; ``None`` for
                any number.
        """
        self._requests = None if limit is None else _FixedWindow(parse(limit))
        self._failures = _FixedWindow(_FAILURES)

    def hit(self, resp: falcon.Response, principal: str, *, is_counted: bool = False) -> None:
        """Count a request of a principal, and tell it how many are left.

        Args:
            resp: the response, which tells it.
            principal: who has sent the request.
            is_counted: whether the request has been counted before: it was put aside, and runs
                again. Then it is not refused either.

        Raises:
            TooManyRequestsError: there are none.
        """
        window = self._requests
        if window is None:
            return
        left, wait = window.count(principal, 0 if is_counted else 1)
        resp.set_header("RateLimit-Limit", window.shown_amount)
        resp.set_header("RateLimit-Remaining", str(max(0, left)))
        resp.set_header("RateLimit-Reset", str(math.ceil(wait)))
        if left < 0 and not is_counted:
            raise TooManyRequestsError(
                f"{principal} may send {window.amount} requests in {window.seconds} s, and has.",
                retry_after=wait,
            )

    def failed(self, peer: str) -> None:
        """Count a failure to sign in.

        Raises:
            TooManyRequestsError: there were too many from that address.
        """
        left, wait = self._failures.count(peer, 1)
        if left < 0:
            raise TooManyRequestsError(
                "Too many tokens from this address were not valid.", retry_after=max(1.0, wait)
            )


class _FixedWindow:
    """Counts by key, which all begin again when the window ends.

    The storage in memory of ``limits`` starts a thread every ten milliseconds, which looks at each
    key: with a thousand of them that takes a quarter of the throughput.
    """

    def __init__(self, limit: RateLimitItem) -> None:
        self.amount: Final = limit.amount
        self.shown_amount: Final = str(limit.amount)
        self.seconds: Final = limit.get_expiry()
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._ends_at = 0.0

    def count(self, key: str, hits: int) -> tuple[int, float]:
        """Add hits; return how many are left, negative for too many, and for how many seconds."""
        now = time.monotonic()
        with self._lock:
            if now >= self._ends_at:
                self._counts = {}
                self._ends_at = now + self.seconds
            count = self._counts.get(key, 0) + hits
            self._counts[key] = count
            return self.amount - count, self._ends_at - now
