"""Streams: the changes of a view, for ``async for``."""

import asyncio
import weakref
from collections.abc import AsyncIterator
from typing import Self

from configsvc_client._aio.loops import Bell
from configsvc_client._aio.subscriptions import Inbox
from configsvc_client._view.listeners import Change
from configsvc_client._view.runtime import ViewRuntime

__all__ = ["ChangeStream"]


class ChangeStream(AsyncIterator[Change]):
    """Stream of the changes of a view since it was made; it ends when view or client is closed.

    Whoever takes long gets what has happened meanwhile as one change. Nothing is kept for a
    stream that nobody holds any more, such as after a ``break``.

    Example:
        >>> changes = app.changes("database.pool_size")
        >>> client.set("billing", "database", {"pool_size": 20})
        >>> client.set("billing", "database", {"pool_size": 30})
        >>> change = await anext(changes)
        >>> change.old, change.new
        (10, 30)
    """

    def __init__(self, runtime: ViewRuntime, path: str) -> None:
        """Create a stream of what changes from now on.

        Args:
            runtime: the runtime of the view, kept alive as long as the stream.
            path: where to look; empty for everything.
        """
        self._runtime = runtime
        self._path = path
        self._is_closed = False
        self._bell = Bell()
        # Nothing that is registered refers to the stream, so that it can be collected.
        self._inbox = Inbox(runtime, path, self._bell.ring)
        self._finalizer = weakref.finalize(self, self._inbox.drop, _running_loop())
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        what = repr(self._path) if self._path else "everything"
        return f"<ChangeStream of {what}{', closed' * self._is_closed}>"

    async def __anext__(self) -> Change:
        while not self._is_closed:
            change = self._inbox.take()
            if change is not None:
                return change
            await self._bell.wait_for(lambda: self._is_closed or self._inbox.has_news)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the stream, also for a coroutine that waits for its next change.

        Example:
            >>> changes = app.changes()
            >>> await changes.aclose()
            >>> [change async for change in changes]
            []
        """
        self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._end()

    def _end(self) -> None:
        """Do the same; called in any thread."""
        if not self._is_closed:
            self._is_closed = True
            self._finalizer.detach()
            self._inbox.remove()
            self._bell.ring()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
