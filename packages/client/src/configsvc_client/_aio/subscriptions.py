"""Subscriptions of callbacks, plain or async, that are called on an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Generic, Protocol, TypeVar

from configsvc_client._aio.loops import post, running_loop
from configsvc_client._callbacks import call_safely, describe_failure, log_failure
from configsvc_client._fork import protect
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.listeners import Change, change_between
from configsvc_client._view.runtime import ViewRuntime

__all__ = ["AsyncSubscription", "Inbox", "note_failure"]

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
        self._note: Callable[[str | None], object] = _ignore
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

    def _start(
        self,
        take: Callable[[], T | None],
        unsubscribe: Callable[[], object],
        note: Callable[[str | None], object] | None = None,
    ) -> None:
        """Begin to call the callback.

        Args:
            take: returns the news, and ``None`` where there are none.
            unsubscribe: called once it is cancelled.
            note: gets the failure of each call, without values, or ``None``.
        """
        self._take, self._unsubscribe = take, unsubscribe
        if note is not None:
            self._note = note

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

        error = call_safely(self, call, has_failed=self._has_failed)
        self._has_failed |= error is not None
        if error is not None or not isawaitable(returned[0]):
            self._note(describe_failure(self._callback, error))
        return returned[0]

    async def _finish(self, call: Awaitable[Any]) -> None:
        try:
            await call
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                # Such as at the end of the loop.
                raise
            self._note_failure(error)
        except Exception as error:  # noqa: BLE001 - the next change is not to be kept from it
            self._note_failure(error)
        else:
            self._note(None)

    def _go_on(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            self._call()

    def _note_failure(self, error: BaseException) -> None:
        log_failure(self, has_failed=self._has_failed)
        self._has_failed = True
        self._note(describe_failure(self._callback, error))

    def _after_fork_in_child(self) -> None:
        # The loop is the parent's, which calls back there.
        self._is_cancelled = True


def _nothing() -> None:
    pass


def _ignore(_failure: str | None) -> None:
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
        self.path: str = path
        """Path that it looks at; empty for everything."""
        self.failure: str | None = None
        """Failure of what was done about the last news, without values."""
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
        return change_between(before, after, self.path)

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


class _MayFail(Protocol):
    failure: str | None


def note_failure(listener: _MayFail, report: Callable[[], object], failure: str | None) -> None:
    """Keep the failure of a call, and have it reported: the poll that it belongs to has begun.

    Args:
        listener: keeps it.
        report: called where it is another.
        failure: the failure, without values; ``None`` where the call has worked.
    """
    if listener.failure != failure:
        listener.failure = failure
        report()
