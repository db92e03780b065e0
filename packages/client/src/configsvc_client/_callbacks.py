"""Callbacks of users, called such that nothing they raise goes any further."""

import threading
from collections.abc import Callable
from logging import getLogger
from pathlib import PurePath

__all__ = ["call_safely", "describe_failure", "is_interrupt", "log_failure", "where_raised"]

_log = getLogger("configsvc_client")


def call_safely(
    what: object, call: Callable[[], object], *, has_failed: bool = False
) -> BaseException | None:
    """Call a callback, and return what it raised; ``None`` where it raised nothing.

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
        return error
    return None


def describe_failure(callback: object, error: BaseException | None) -> str | None:
    """Return a sentence about what a callback raised, without its message, which may quote values.

    Args:
        callback: the callback.
        error: what it raised; ``None`` for nothing, of which there is nothing to say.
    """
    if error is None:
        return None
    name = getattr(callback, "__qualname__", None) or type(callback).__name__
    return f"the callback {name} raised {where_raised(error)}"


def where_raised(error: BaseException) -> str:
    """Return type and place of an error, to find it by; its message may quote a value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = type(error).__name__
    if trace is None:
        return name
    file = trace.tb_frame.f_code.co_filename
    return f"{name} at {PurePath(file).name}, line {trace.tb_lineno}"


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
