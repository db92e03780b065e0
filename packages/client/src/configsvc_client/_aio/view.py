"""Async view: the configurations of one application, for coroutines."""

import asyncio
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from configsvc_client._aio.bound import AsyncBound
from configsvc_client._aio.loops import Bell, running_loop
from configsvc_client._aio.streams import ChangeStream
from configsvc_client._aio.subscriptions import AsyncSubscription, Inbox, note_failure
from configsvc_client._aio.threads import Runner
from configsvc_client._values.diff import Differences
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.listeners import Change
from configsvc_client._view.store import snapshot_of
from configsvc_client._view.view import ConfigView, ViewReads
from configsvc_client.errors import NotReadyError

if TYPE_CHECKING:
    from configsvc_client._binding.binding import Binding

__all__ = ["AsyncConfigView"]


class AsyncConfigView(ViewReads):
    """Live view of the configurations of one application in one environment, for coroutines.

    Returned by :meth:`AsyncConfigClient.application`. ``await app.ready()`` starts it, once;
    from then on it is read like a dict, without ``await`` and from memory. A read never waits:
    where there is no snapshot yet, it raises :class:`NotReadyError` at once. Several event
    loops may share a view, and threads may read it.

    Example:
        >>> app = client.application("billing")
        >>> await app.ready()
        >>> app["database"]["pool_size"]
        10
        >>> app
        <AsyncConfigView billing/default: live, 2 configurations, confirmed ... ago>
    """

    _START = "await ready() starts it"

    def __init__(
        self, view: ConfigView, runner: Runner, remove: Callable[["AsyncConfigView"], None]
    ) -> None:
        super().__init__(view.application, view.environment, view._runtime)
        self._view = view
        self._runner = runner
        self._remove = remove
        self._is_closed = False
        self._bell = Bell()
        self._store.watch(self._bell.ring)
        self._streams: weakref.WeakSet[ChangeStream] = weakref.WeakSet()

    async def ready(self, timeout: float | None = None) -> None:
        """Start the view where it is not, and wait for the first snapshot.

        Args:
            timeout: seconds to wait at most; ``start_timeout`` of the client by default.

        Raises:
            NotReadyError: none came in time; the cause is the last failure.
            NotFoundError, AuthError: the server refuses; polling goes on nevertheless.
            ClosedError: the view was closed before there was one.

        Example:
            >>> await app.ready(timeout=5)
        """
        runtime, store = self._runtime, self._store
        if runtime.wake():
            return
        loop = asyncio.get_running_loop()
        seconds = runtime.start_timeout if timeout is None else timeout
        end = loop.time() + seconds
        if runtime.sync.has_stand_in:
            # A server that hangs must not keep us from using what we have.
            await self._bell.wait_for(self._is_settled, min(runtime.DISK_GRACE, seconds))
            if store.held is None:
                await self._runner.run_apart(runtime.sync.load_stand_in)
        await self._bell.wait_for(self._is_settled, max(0.0, end - loop.time()))
        if not runtime.wake():
            raise runtime.not_ready()

    def changes(self, path: str = "") -> ChangeStream:
        """Return the changes from now on, for ``async for``; the first snapshot is none.

        Whoever takes long gets what has happened meanwhile as one change. It ends when view or
        client is closed; a ``break`` ends it, and a cancelled task. With ``async with`` the end
        is that of the block.

        Args:
            path: name of a configuration, or a path into one; without it, everything.

        Raises:
            ClosedError: the view was closed before there was a snapshot.

        Example:
            >>> changes = app.changes("database.pool_size")
            >>> made = await client.configurations.update(database, config={"pool_size": 20})
            >>> async for change in changes:
            ...     print("resized to", change.new)
            ...     break
            resized to 20
        """
        self._runtime.wake()
        stream = ChangeStream(self._runtime, path)
        self._streams.add(stream)
        if self._is_closed:
            stream._end()
        return stream

    def on_change(
        self, callback: Callable[[Change], object], path: str = "", *, call_now: bool = False
    ) -> AsyncSubscription[Change]:
        """Call ``callback`` on the running loop whenever something changes.

        It may be an ``async def`` function, which is awaited in a task. Calls are made one after
        the other and in order, and what changes during one is in the next. The first snapshot is
        no change. What it raises is logged once and changes nothing.

        Args:
            callback: gets a :class:`Change` with the old and the new value.
            path: name of a configuration, or a path into one; without it, everything.
            call_now: whether to call it first with what there is, as soon as the loop comes to
                it: ``old`` is ``None`` then. It is not called where there is nothing at ``path``.

        Raises:
            NotReadyError: with ``call_now``, if there is no snapshot yet.
            RuntimeError: no event loop is running.

        Example:
            >>> async def resize(change: Change) -> None:
            ...     print("resized to", change.new)
            >>> app.on_change(resize, "database.pool_size")
            <AsyncSubscription to 'database.pool_size'>
            >>> made = await client.configurations.update(database, config={"pool_size": 20})
            resized to 20
        """
        running_loop("on_change")
        if call_now:
            self._ready()
        runtime = self._runtime
        runtime.wake()
        about = repr(path) if path else "everything"
        subscription = AsyncSubscription(about, callback)
        inbox = Inbox(runtime, path, subscription._wake, call_now=call_now)
        # The runtime is kept alive as long as the subscription.
        remove = partial(runtime.listeners.remove, inbox)
        subscription._start(inbox.take, remove, partial(note_failure, inbox, runtime.report))
        return subscription

    async def refresh(self) -> bool:
        """Fetch the newest snapshot now, and return whether anything changed.

        There is no need to call this in order to stay up to date.

        Raises:
            ConfigSvcError: the request failed; the view stays as it is.

        Example:
            >>> await app.refresh()
            False
        """
        return await self._runner.run(self._view.refresh)

    async def diff(
        self,
        since: Mapping[str, Any] | None = None,
        *,
        environment: str | None = None,
        at: datetime | None = None,
    ) -> Differences:
        """Return the differences between another snapshot and the present one of this view.

        Args:
            since: the snapshot to compare with; without it, the one before the last change.
            environment: compare with what another environment serves, fetched now.
            at: compare with what was served at a timestamp, fetched now; needs a time zone.

        Raises:
            ConfigSvcError: the request failed.
            NotReadyError: there is no snapshot yet.
            ValueError: ``since`` is given beside another, or the timestamp has no time zone.

        Example:
            >>> await app.diff(environment="prod")  # prod has 8, and no limits
            ~ /database/pool_size: 8 → 10
            + /limits: {'per_minute': 60}
        """
        self._ready()
        diff = partial(self._view.diff, since, environment=environment, at=at)
        return await self._runner.run(diff)

    async def at(self, timestamp: datetime) -> Snapshot:
        """Return the snapshot that this environment served at a timestamp, fetched now.

        Args:
            timestamp: a time that is not in the future, with a time zone.

        Raises:
            ConfigSvcError: the request failed.
            ValueError: the timestamp has no time zone.

        Example:
            >>> first = await client.configurations.revision(database, 1)
            >>> (await app.at(first.created_at))["database"]["pool_size"]
            5
        """
        return await self._runner.run(partial(self._view.at, timestamp))

    async def aclose(self) -> None:
        """Stop polling and end the streams, promptly; the last snapshot can still be read.

        Example:
            >>> await app.aclose()
            >>> app.status().state
            'closed'
        """
        self._end()
        self._remove(self)
        await self._runner.run_apart(self._view.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _end(self) -> None:
        """End what waits for this view."""
        self._is_closed = True
        for stream in list(self._streams):
            stream._end()
        self._bell.ring()

    def _handle(self, binding: "Binding[Any]") -> AsyncBound[Any]:
        return AsyncBound(binding, self._runtime)

    def _is_settled(self) -> bool:
        return self._is_closed or self._store.held is not None or self._store.is_refused()

    def _ready(self) -> Snapshot:
        current = snapshot_of(self._reads)
        if current is not EMPTY and self._own:
            return current
        if self._store.held is None and self._runtime.status().state == "not started":
            name = f"{self._application!r} ({self._environment})"
            raise NotReadyError(f"The view of {name} is not started: await ready() first.")
        if not self._runtime.wake():
            raise self._runtime.not_ready()
        return self._store.newest() or self._store.current
