"""Callbacks of users, called such that nothing they raise goes any further."""

import threading
from collections.abc import Callable
from logging import getLogger

__all__ = ["call_safely", "is_interrupt", "log_failure"]

_log = getLogger("configsvc_client")


def call_safely(what: object, call: Callable[[], object], *, has_failed: bool = False) -> bool:
    """Call a callback, and return whether it raised nothing.

    What it raises is logged once and goes no further, as it must not end the thread that
    follows changes: asyncio's and gevent's cancellations are no ``Exception``. Only Ctrl-C is
    left to a main thread that asked for it.

    Args:
        what: the subscription, for the log.
        call: the callback with its arguments.
        has_failed: whether it has failed before, which is logged at debug level.
    """
    try:
        call()
    except BaseException as error:
        if is_interrupt(error):
            raise
        log_failure(what, has_failed=has_failed)
        return False
    return True


def is_interrupt(error: BaseException) -> bool:
    """Return whether an error is Ctrl-C in the thread that it is for."""
    is_main = threading.current_thread() is threading.main_thread()
    return isinstance(error, KeyboardInterrupt) and is_main


def log_failure(what: object, *, has_failed: bool) -> None:
    """Log what a callback raises, which is being handled; at debug level if it failed before."""
    if has_failed:
        _log.debug("%r failed again", what, exc_info=True)
    else:
        _log.exception("%r failed; it is called again at the next change", what)
