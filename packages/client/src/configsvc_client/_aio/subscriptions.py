"""Subscriptions of callbacks, plain or async, that are called on an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from configsvc_client._aio.loops import post, running_loop
from configsvc_client._callbacks import call_safely, log_failure
from configsvc_client._fork import protect
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.listeners import Change, change_between
from configsvc_client._view.runtime import ViewRuntime

__all__ = ["AsyncSubscription", "Inbox"]

T = TypeVar("T")


class AsyncSubscription(Generic[T]):
    """Subscription of a callback to news, until :meth:`cancel`; called on the loop it is from.

    An ``async def`` callback is awaited in a task. Calls are made one after the other; what comes
    during one is in the next.

    Example:
        >>> app.on_change(print, "database.pool_size")
        <AsyncSubscription to 'database.pool_size'>
    """

    def __init__(self, about: str, callback: Callable[[T], object]) -> None:
        self._about = about
        self._callback = callback
        self._take: Callable[[], T | None] = _nothing
        self._unsubscribe: Callable[[], object] = _nothing
        self._loop = running_loop("A subscription")
        self._is_posted = False
        self._is_cancelled = False
        self._has_failed = False
        self._task: asyncio.Task[None] | None = None
        protect(self._after_fork_in_child)

    def __repr__(self) -> str:
        return f"<AsyncSubscription to {self._about}>"

    def cancel(self) -> None:
        """Stop calling the callback; a call that is under way goes on.

        Example:
            >>> subscription = app.on_change(print)
            >>> subscription.cancel()
            >>> client.set("billing", "database", {"pool_size": 20})
        """
        self._is_cancelled = True
        self._unsubscribe()
        self._unsubscribe = self._take = _nothing

    def _start(self, take: Callable[[], T | None], unsubscribe: Callable[[], object]) -> None:
        """Begin to call the callback.

        Args:
            take: returns the news, and ``None`` where there are none.
            unsubscribe: called once it is cancelled.
        """
        self._take, self._unsubscribe = take, unsubscribe

    def _wake(self) -> None:
        """Have the loop look for news; called in any thread."""
        if self._is_posted or self._is_cancelled:
            return
        self._is_posted = True
        if not post(self._loop, self._call):
            # Nobody is left who could be called.
            self.cancel()

    def _call(self) -> None:
        self._is_posted = False
        while self._task is None and not self._is_cancelled:
            news = self._take()
            if news is None:
                return
            returned = self._returned(news)
            if isawaitable(returned):
                self._task = self._loop.create_task(self._finish(returned), name=repr(self))
                self._task.add_done_callback(self._go_on)

    def _returned(self, news: T) -> object:
        returned: list[object] = [None]

        def call() -> None:
            returned[0] = self._callback(news)

        self._has_failed |= not call_safely(self, call, has_failed=self._has_failed)
        return returned[0]

    async def _finish(self, call: Awaitable[Any]) -> None:
        try:
            await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                # Such as at the end of the loop.
                raise
            self._note_failure()
        except Exception:  # noqa: BLE001 - the next change is not to be kept from the callback
            self._note_failure()

    def _go_on(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            self._call()

    def _note_failure(self) -> None:
        log_failure(self, has_failed=self._has_failed)
        self._has_failed = True

    def _after_fork_in_child(self) -> None:
        # The loop is the parent's, which calls back there.
        self._is_cancelled = True


def _nothing() -> None:
    pass


class Inbox:
    """Listener that keeps what has changed since it was last looked at: one change at most."""

    def __init__(
        self, runtime: ViewRuntime, path: str, wake: Callable[[], object], *, call_now: bool = False
    ) -> None:
        """Create an inbox that gets news from now on.

        Args:
            runtime: the runtime of the view, which is not kept alive by this.
            path: where to look; empty for everything.
            wake: called when there may be news, in the thread that brings them.
            call_now: whether all that there is is news.
        """
        self._path = path
        self._wake = wake
        self._remove = runtime.listeners.remove
        self._is_dropped = False
        self._told = EMPTY if call_now else runtime.store.held
        self._latest = self._told
        runtime.listeners.add(self)
        # What came since, and what there is for one that is to know nothing.
        runtime.sync.catch_up()

    @property
    def has_news(self) -> bool:
        """Whether there is another snapshot than the one that is known."""
        return self._told is not self._latest

    def notify(self, after: Snapshot) -> None:
        """Take note of a snapshot."""
        if self._is_dropped:
            self.remove()
            return
        if self._told is None:
            # The first snapshot is no change.
            self._told = after
        self._latest = after
        if self._told is not after:
            self._wake()

    def take(self) -> Change | None:
        """Return what has changed since the last time; ``None`` where nothing has."""
        before, after = self._told, self._latest
        if before is None or after is None or before is after:
            return None
        self._told = after
        return change_between(before, after, self._path)

    def remove(self) -> None:
        """Get no more news."""
        self._remove(self)

    def drop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Get no more news, from amid anything, even from where the listeners are locked.

        Args:
            loop: a loop that removes it; where there is none, the next news do.
        """
        self._is_dropped = True
        self._told = self._latest = None
        if loop is not None:
            post(loop, self.remove)
