"""Event loops: what other threads tell them, and whom on them it wakes."""

import asyncio
from collections.abc import Callable
from typing import TypeVarTuple

from configsvc_client._fork import protect

__all__ = ["Bell", "post", "running_loop"]

Ts = TypeVarTuple("Ts")


def post(loop: asyncio.AbstractEventLoop, call: Callable[[*Ts], object], *args: *Ts) -> bool:
    """Call something on a loop soon, from any thread; return whether the loop is still there."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return False
    return True


def running_loop(purpose: str) -> asyncio.AbstractEventLoop:
    """Return the loop that runs in this thread.

    Args:
        purpose: what needs it, for people.

    Raises:
        RuntimeError: none runs.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{purpose} needs a running event loop: call it in a coroutine, such as the one that"
            " starts your application."
        ) from None


class Bell:
    """Bell that wakes coroutines on any loop, rung by any thread.

    However many wait on a loop, ringing takes one call of it. A loop that was closed is
    forgotten, and a forked child has none of its parent's.
    """

    def __init__(self) -> None:
        self._reset()
        protect(self._reset)

    def _reset(self) -> None:
        self._waiting: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}

    def ring(self) -> None:
        """Have all look whether they still need to wait."""
        while self._waiting:
            try:
                loop, futures = self._waiting.popitem()
            except KeyError:
                # Another thread rings too.
                return
            post(loop, _wake, futures)

    async def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until a condition is true, which is looked at again whenever the bell rings.

        Args:
            condition: asked on the loop.
            timeout: seconds to wait at most; ``None`` for no end.

        Returns:
            Whether it is true.
        """
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            # Before the look: what happens after it rings then.
            future = loop.create_future()
            self._waiting.setdefault(loop, set()).add(future)
            try:
                if condition():
                    return True
                left = None if end is None else end - loop.time()
                if left is not None and left <= 0:
                    return False
                await asyncio.wait([future], timeout=left)
            finally:
                self._forget(loop, future)

    def _forget(self, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
        futures = self._waiting.get(loop)
        if futures is not None:
            futures.discard(future)
            if not futures:
                self._waiting.pop(loop, None)


def _wake(futures: "set[asyncio.Future[None]]") -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
