"""Rate limits: how often one principal may ask, and one address may fail to sign in."""

import time
from typing import Final

import falcon
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

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
        self._limit: RateLimitItem | None = None if limit is None else parse(limit)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def hit(self, resp: falcon.Response, principal: str) -> None:
        """Count a request of a principal, and tell it how many are left.

        Raises:
            TooManyRequestsError: there are none.
        """
        if self._limit is None:
            return
        is_allowed = self._limiter.hit(self._limit, "principal", principal)
        stats = self._limiter.get_window_stats(self._limit, "principal", principal)
        wait = max(0.0, stats.reset_time - time.time())
        resp.set_header("RateLimit-Limit", str(self._limit.amount))
        resp.set_header("RateLimit-Remaining", str(max(0, stats.remaining)))
        resp.set_header("RateLimit-Reset", str(round(wait + 0.5)))
        if not is_allowed:
            raise TooManyRequestsError(
                f"{principal} may send {self._limit.amount} requests in "
                f"{self._limit.get_expiry()} s, and has.",
                retry_after=wait,
            )

    def failed(self, peer: str) -> None:
        """Count a failure to sign in.

        Raises:
            TooManyRequestsError: there were too many from that address.
        """
        if self._limiter.hit(_FAILURES, "failure", peer):
            return
        stats = self._limiter.get_window_stats(_FAILURES, "failure", peer)
        raise TooManyRequestsError(
            "Too many tokens from this address were not valid.",
            retry_after=max(1.0, stats.reset_time - time.time()),
        )
