"""Threads for calls that block, so that the event loop does not.

The executor of a loop is not used: ``asyncio.run`` waits for it, and the interpreter for every
executor of ``concurrent.futures``, so that a request which hangs would delay both. These are
daemon threads, which nobody waits for.
"""

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

from configsvc_client._aio.loops import post
from configsvc_client._fork import protect
from configsvc_client.errors import ClosedError

__all__ = ["Inline", "Runner", "Threads"]

R = TypeVar("R")


class Runner(Protocol):
    """Runner of calls that block."""

    async def run(self, call: Callable[[], R]) -> R:
        """Return what a call returns, and raise what it raises.

        Raises:
            ClosedError: the runner is closed.
        """

    async def run_apart(self, call: Callable[[], R]) -> R:
        """Do the same beside all others, for a call that may take long, or must not wait."""

    def spawn(self, call: Callable[[], object]) -> None:
        """Begin a call of which nobody awaits the result.

        Raises:
            ClosedError: the runner is closed.
        """

    def alone(self) -> "Runner":
        """Return a runner for calls that come one after the other, and may take long."""

    def close(self) -> None:
        """Run no more; calls that are under way go on."""


class _Work:
    """Calls that wait for a thread, and the threads that there are."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.pending = 0
        """Number of calls that wait or are under way."""
        self.threads = 0


class Threads:
    """Runner with a few daemon threads, started as they are needed and ended when idle.

    Each thread has connections of its own, which its calls share.
    """

    MOST: Final = 8
    """Number of threads by default; further calls wait."""

    IDLE: Final = 30.0
    """Seconds without a call after which a thread ends."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._closed = False
        self._reset()
        protect(self._after_fork_in_child)

    def _reset(self) -> None:
        self._work = _Work()
        # To end them where nobody closes the client. It may be called amid anything, and this
        # method of this queue is made for that.
        self._finalizer = weakref.finalize(self, self._work.calls.put, None)
        self._finalizer.atexit = False

    def _after_fork_in_child(self) -> None:
        self._finalizer.detach()
        self._reset()

    async def run(self, call: Callable[[], R]) -> R:
        """Return what a call returns in one of the threads; cancelled, it goes on there."""
        delivery = _Delivery(call)
        self.spawn(delivery.make)
        return await delivery.result

    def spawn(self, call: Callable[[], object]) -> None:
        """Begin a call in one of the threads."""
        if self._closed:
            raise ClosedError("This client is closed.")
        work = self._work
        with work.lock:
            work.calls.put(call)
            work.pending += 1
            is_short = work.pending > work.threads and work.threads < self._most
            work.threads += is_short
        if not is_short:
            return
        try:
            _start(partial(_serve, work, self.IDLE))
        except RuntimeError:
            with work.lock:
                work.threads -= 1
                has_others = work.threads > 0
            if not has_others:
                raise

    async def run_apart(self, call: Callable[[], R]) -> R:
        """Return what a call returns in a thread of its own."""
        future = _Delivery(call)
        _start(future.make)
        return await future.result

    def alone(self) -> "Threads":
        """Return a runner with one thread of its own."""
        return Threads(most=1)

    def close(self) -> None:
        """End the threads, each after the call that it is at."""
        self._closed = True
        self._work.calls.put(None)


class Inline:
    """Runner that makes each call at once, on the loop: for what only looks as if it blocked."""

    async def run(self, call: Callable[[], R]) -> R:
        """Return what a call returns, once the loop has called back for it."""
        result = call()
        await asyncio.sleep(0)
        return result

    run_apart = run

    def spawn(self, call: Callable[[], object]) -> None:
        """Make a call."""
        call()

    def alone(self) -> "Inline":
        """Return this runner."""
        return self

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


class _Delivery(Generic[R]):
    """Call that is made in another thread, and its result on the loop that awaits it."""

    def __init__(self, call: Callable[[], R]) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._call = call
        self.result: asyncio.Future[R] = self._loop.create_future()

    def make(self) -> None:
        """Make the call, unless nobody awaits it any more."""
        if self.result.cancelled():
            return
        try:
            result = self._context.run(self._call)
        except StopIteration as error:
            # Which no future can have.
            post(self._loop, _fail, self.result, RuntimeError(repr(error)))
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            post(self._loop, _fail, self.result, error)
        else:
            post(self._loop, _succeed, self.result, result)


def _succeed(future: "asyncio.Future[R]", result: R) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[R]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _serve(work: _Work, idle: float) -> None:
    while True:
        try:
            call = work.calls.get(timeout=idle)
        except Empty:
            with work.lock:
                if work.calls.empty():
                    work.threads -= 1
                    return
            continue
        if call is None:
            # For the next thread.
            work.calls.put(None)
            return
        call()
        # Nothing is to be kept alive by a thread that waits.
        del call
        with work.lock:
            work.pending -= 1


def _start(call: Callable[[], object]) -> None:
    threading.Thread(target=call, name="configsvc call", daemon=True).start()
