"""Lists and feeds of the wrappers, for ``async for``."""

import _thread
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Generic, Self, TypeVar

from configsvc_client._aio.loops import Bell
from configsvc_client._aio.threads import Runner
from configsvc_client._fork import protect
from configsvc_client._http.api import Pages
from configsvc_client._resources.change_feed import ChangeFeed
from configsvc_client._resources.change_log import ChangeLog
from configsvc_client._resources.models import AuditChange
from configsvc_client.errors import ConfigSvcError

__all__ = ["AsyncChangeFeed", "AsyncChangeLog", "AsyncPages"]

T = TypeVar("T")

_END: Final = object()


class _AsyncItems(AsyncIterator[T]):
    """One iteration over a list, with one call of a thread for each page."""

    def __init__(self, begin: Callable[[], Iterator[T]], runner: Runner) -> None:
        """Create an iteration that has not begun.

        Args:
            begin: begins; called in a thread. The iterator has ``has_pending``, which tells
                whether its next item needs no request.
            runner: runs requests.
        """
        self._begin = begin
        self._runner = runner
        self._items: Iterator[T] | None = None

    async def __anext__(self) -> T:
        items = self._items
        if items is not None and getattr(items, "has_pending", False):
            return next(items)
        found = await self._runner.run(self._fetch)
        if found is _END:
            raise StopAsyncIteration
        return found  # type: ignore[return-value]

    def _fetch(self) -> T | object:
        if self._items is None:
            self._items = self._begin()
        return next(self._items, _END)


class AsyncPages(AsyncIterator[T], Generic[T]):
    """List on the server, which is fetched page by page, as ``async for`` iterates over it.

    Each iteration begins at the beginning and asks the server anew. ``anext`` goes through the
    list once, whatever else iterates over it.

    Example:
        >>> applications = client.applications.list()
        >>> (await anext(applications)).name
        'billing'
        >>> [application.name async for application in applications]
        ['billing', 'shop']
    """

    def __init__(self, ask: Callable[[], Pages[T]], runner: Runner) -> None:
        self._ask = ask
        self._runner = runner
        self._once = self._iteration()

    def __repr__(self) -> str:
        return "<AsyncPages: to be iterated over by async for>"

    def __aiter__(self) -> AsyncIterator[T]:
        return self._iteration()

    async def __anext__(self) -> T:
        return await anext(self._once)

    def _iteration(self) -> _AsyncItems[T]:
        ask = self._ask
        return _AsyncItems(lambda: iter(ask()), self._runner)


class AsyncChangeLog(AsyncIterator[AuditChange]):
    """Changes so far, oldest or newest first; pages are fetched as ``async for`` goes on.

    Each iteration begins at the beginning and asks the server anew. ``anext`` goes through the
    changes once, whatever else iterates over them.

    Example:
        >>> log = client.changes.list(configuration=limits)
        >>> [change.action async for change in log]
        ['create']
        >>> await client.configurations.delete(limits)
        >>> later = client.changes.list(configuration=limits, after=log.cursor)
        >>> [change.action async for change in later]
        ['delete']
    """

    def __init__(self, ask: Callable[[], ChangeLog], runner: Runner) -> None:
        self._ask = ask
        self._runner = runner
        self._latest: ChangeLog | None = None
        self._once = self._iteration()

    def __repr__(self) -> str:
        return "<AsyncChangeLog: to be iterated over by async for>"

    @property
    def cursor(self) -> str | None:
        """Position after the change that was returned last; ``None`` before the first.

        It is good for the same filters and the same order.

        Example:
            >>> log = client.changes.list(application="billing")
            >>> first = await anext(log)
            >>> later = client.changes.list(application="billing", after=log.cursor)
            >>> (await anext(later)).id > first.id
            True
        """
        return None if self._latest is None else self._latest.cursor

    def __aiter__(self) -> AsyncIterator[AuditChange]:
        return self._iteration()

    async def __anext__(self) -> AuditChange:
        return await anext(self._once)

    def _iteration(self) -> _AsyncItems[AuditChange]:
        return _AsyncItems(self._begin, self._runner)

    def _begin(self) -> Iterator[AuditChange]:
        self._latest = self._ask()
        return iter(self._latest)


class _Pull:
    """Wait of a feed for its next change, in a thread; it refers to nobody who awaits it."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self.feed: ChangeFeed | None = None
        self.is_running = False
        self.result: object = None
        """Change or error that nobody has taken yet, or the mark of the end."""
        protect(self._after_fork_in_child)

    def _after_fork_in_child(self) -> None:
        # The thread is the parent's.
        self.is_running = False

    def run(self) -> None:
        """Wait for the next change of the feed."""
        try:
            self.result = _END if self.feed is None else next(self.feed, _END)
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            self.result = error
        finally:
            self.is_running = False
            self._bell.ring()

    def close(self) -> None:
        """End the feed, from amid anything."""
        if self.feed is not None:
            _thread.start_new_thread(self.feed.close, ())


class AsyncChangeFeed(AsyncIterator[AuditChange]):
    """Iterator over changes as they happen; it ends by :meth:`aclose`, or with the client.

    Each change comes once, and in order, also where an ``anext`` is cancelled. While the server
    is unavailable the feed waits, and goes on where it was. It begins at the first ``anext``, or
    with ``async with``. Its thread waits for the server only while somebody awaits the next
    change, and ends when nobody holds the feed any more.

    Example:
        >>> async with client.changes.follow(application="billing", from_start=True) as feed:
        ...     async for change in feed:
        ...         if change.entity == "environment":
        ...             print(change.action, change.name)
        ...         saved = feed.cursor
        create staging
        create prod
    """

    def __init__(self, ask: Callable[[], ChangeFeed], runner: Runner) -> None:
        self._ask = ask
        self._runner = runner
        self._waiting = runner.alone()
        self._is_closed = False
        self._bell = Bell()
        self._pull = _Pull(self._bell)
        self._finalizer = weakref.finalize(self, self._pull.close)
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        return "<AsyncChangeFeed: to be iterated over by async for>"

    @property
    def cursor(self) -> str | None:
        """Position after the change that was returned last; ``None`` before it has begun.

        Store it once a change is dealt with, and give it as ``after``, with the same filters:
        what comes then is what came after that change.

        Example:
            >>> feed = client.changes.follow(application="billing", from_start=True)
            >>> first = await anext(feed)
            >>> later = client.changes.follow(application="billing", after=feed.cursor)
            >>> (await anext(later)).id > first.id
            True
        """
        return None if self._pull.feed is None else self._pull.feed.cursor

    @property
    def error(self) -> ConfigSvcError | None:
        """Failure that is being waited out; ``None`` where requests succeed.

        Example:
            >>> feed = client.changes.follow(application="billing", from_start=True)
            >>> change = await anext(feed)
            >>> feed.error is None
            True
        """
        return None if self._pull.feed is None else self._pull.feed.error

    async def __anext__(self) -> AuditChange:
        pull = self._pull
        while not self._is_closed:
            feed = await self._begun()
            if pull.result is None and not pull.is_running:
                if feed._reader.has_pending:
                    return next(feed)
                pull.is_running = True
                self._waiting.spawn(pull.run)
            await self._bell.wait_for(lambda: self._is_closed or pull.result is not None)
            result, pull.result = pull.result, None
            if isinstance(result, AuditChange):
                return result
            if isinstance(result, BaseException):
                raise result
            if result is _END:
                break
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the feed, promptly: also for a coroutine that waits for the next change.

        Example:
            >>> feed = client.changes.follow(application="billing", from_start=True)
            >>> await feed.aclose()
            >>> [change async for change in feed]
            []
        """
        self._is_closed = True
        self._bell.ring()
        self._waiting.close()
        if self._pull.feed is not None:
            self._pull.feed.close()

    async def __aenter__(self) -> Self:
        await self._begun()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def _begun(self) -> ChangeFeed:
        if self._pull.feed is None:
            self._pull.feed = await self._runner.run(self._ask)
        return self._pull.feed
