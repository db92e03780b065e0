"""Retries: which requests are sent again, and after how long."""

import random
from http import HTTPStatus
from typing import Final

from configsvc_client._http.failures import Failure
from configsvc_client._http.types import Request, Response, retry_after

__all__ = ["delay_before"]

_PATIENCE: Final = 15.0
"""Seconds of ``Retry-After`` to obey; a response that asks for more is left to the caller."""

_BACKOFF: Final = 0.2
"""Seconds, doubled with each retry after the first, which is made at once."""

_BACKOFF_CAP: Final = 5.0

# Those that do the same when done twice; a POST or PATCH that may have arrived is repeated only
# by the caller.
_REPEATABLE: Final = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}

_TRY_AGAIN: Final = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def delay_before(retry: int, request: Request, outcome: Response | Failure) -> float | None:
    """Return the seconds before a request is sent again; ``None`` where it is not.

    Args:
        retry: the number of the retry, from 1.
        request: the request.
        outcome: what came of the attempt before.
    """
    asked = None
    if isinstance(outcome, Failure):
        can_help = not outcome.is_final
        is_safe = request.method in _REPEATABLE or not outcome.may_have_arrived
    else:
        asked = retry_after(outcome.headers)
        can_help = outcome.status in _TRY_AGAIN and (asked or 0.0) <= _PATIENCE
        is_safe = request.method in _REPEATABLE
    if not (can_help and is_safe):
        return None
    if asked or retry == 1:
        return asked or 0.0
    jitter = random.uniform(0, _BACKOFF)  # noqa: S311 - no secret
    return min(_BACKOFF_CAP, _BACKOFF * 2.0 ** min(retry - 1, 16) + jitter)
