"""``Retry-After`` (RFC 9110, section 10.2.3): a number of seconds or a date."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["MAX_RETRY_AFTER", "seconds_to_wait"]

MAX_RETRY_AFTER = 3600.0
"""A server that asks for more than an hour is asked again after one."""


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return how long the answer with ``headers`` asks to be left alone, in seconds.

    Returns:
        ``None`` where it does not ask, or in a form that nobody understands.
    """
    text = (headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    moment = _date(text)
    if moment is None:
        return None
    # Measured on the server's own clock where it is known: ours may be wrong, or jump.
    now = _date(headers.get("Date") or "") or datetime.now(UTC)
    seconds = (moment - now).total_seconds()
    return min(max(math.ceil(seconds), 0.0), MAX_RETRY_AFTER)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
