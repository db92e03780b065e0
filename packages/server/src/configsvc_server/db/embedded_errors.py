"""Errors of the embedded PostgreSQL, and the pause that a stop ends."""

import time
from collections.abc import Callable

__all__ = ["ClusterError", "EmbeddedPostgresError", "StartCancelledError", "pause"]


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL can't be used; the message says why and how to correct it."""


class ClusterError(Exception):
    """A step of the start failed; the message is the reason, without a full stop."""


class StartCancelledError(Exception):
    """The start was given up because the process is to stop."""


def pause(seconds: float, cancelled: Callable[[], bool]) -> None:
    """Sleep between two looks at something.

    Args:
        seconds: how long to sleep; short, because a stop is only noticed afterwards.
        cancelled: whether the process is to stop.

    Raises:
        StartCancelledError: the process is to stop.
    """
    if cancelled():
        raise StartCancelledError
    time.sleep(seconds)
